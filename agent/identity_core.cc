// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_core.h"

#include <algorithm>

#include "base/log.h"

namespace assay {
namespace {

constexpr absl::Duration kFirstRetry = absl::Seconds(5);
constexpr absl::Duration kLongestRetry = absl::Minutes(2);
// How long a new node is tried to be attested before whoever started the agent is told.
constexpr absl::Duration kAttestationPatience = absl::Minutes(1);
constexpr absl::Duration kFirstSigningRetry = absl::Milliseconds(500);
constexpr absl::Duration kLongestSigningRetry = absl::Minutes(4);
constexpr absl::Duration kLongestSyncRetry = absl::Minutes(8);
constexpr int kMostSyncIntervals = 48;
// A step of the wall clock is noticed after this time at the latest.
constexpr absl::Duration kLongestSleep = absl::Seconds(10);
constexpr std::string_view kSubsystem = "manager";
constexpr std::string_view kBanned = "Agent is banned: removing SVID and shutting down";
constexpr std::string_view kCannotReattest =
    "Agent needs to re-attest: removing SVID and shutting down";

}  // namespace

IdentityCore::IdentityCore(Options options, Surroundings surroundings)
    : options_(std::move(options)),
      around_(std::move(surroundings)),
      attestation_backoff_(kFirstRetry, kLongestRetry),
      rotation_backoff_(kFirstRetry, kLongestRetry),
      sync_backoff_(options_.sync_interval,
                    std::min(options_.sync_interval * kMostSyncIntervals, kLongestSyncRetry)),
      signing_backoff_(kFirstSigningRetry, kLongestSigningRetry) {}

IdentityCore::~IdentityCore() {
  around_.loop.Cancel(timer_);
  around_.loop.Cancel(attestation_timer_);
}

void IdentityCore::OnSyncThread(std::function<Done()> job) {
  sync_busy_ = true;
  around_.run_sync([this, job = std::move(job)] {
    around_.loop.Post([this, done = job()] {
      sync_busy_ = false;
      done();
    });
  });
}

void IdentityCore::Start() {
  attesting_since_ = Now();
  OnSyncThread([this]() -> Done {
    auto loaded = std::make_shared<absl::StatusOr<std::optional<NodeFacts>>>(around_.node.Load());
    return [this, loaded] { OnLoaded(*loaded); };
  });
}

void IdentityCore::Tune(const Options& options) {
  options_.key_type = options.key_type;
  options_.availability_target = options.availability_target;
  options_.cache_size = options.cache_size;
  options_.sync_interval = options.sync_interval;
  next_sync_ = std::min(next_sync_, Now() + options_.sync_interval);
  if (phase_ == Phase::kServing) {
    EvictUnused();
    PrefetchMore();
  }
  Step();
}

void IdentityCore::OnLoaded(const absl::StatusOr<std::optional<NodeFacts>>& loaded) {
  if (absl::IsUnavailable(loaded.status()) && options_.has_served) {
    // The TPM that has the key: callers are served what is known until it answers.
    const absl::Duration wait = attestation_backoff_.Next(around_.random);
    log::Warn("Stored state cannot be used yet; it is tried again",
              {{"error", loaded.status()}, {"retry_interval", absl::FormatDuration(wait)}});
    attestation_timer_ = around_.loop.After(wait, [this] { Start(); });
  } else if (!loaded.ok()) {
    log::Error("Stored state cannot be used", {{"error", loaded.status()}});
    Exit(1, loaded.status());
  } else if (loaded->has_value()) {
    is_stored_svid_ = true;
    TakeNode(**loaded);
  } else {
    BeginAttestation();
  }
}

void IdentityCore::BeginAttestation() {
  phase_ = Phase::kAttesting;
  attestation_timer_ = 0;
  OnSyncThread([this]() -> Done {
    auto attested = std::make_shared<absl::StatusOr<NodeFacts>>(around_.node.Attest());
    return [this, attested] { OnAttested(*attested); };
  });
}

void IdentityCore::OnAttested(const absl::StatusOr<NodeFacts>& attested) {
  if (attested.ok()) {
    is_stored_svid_ = false;
    attestation_backoff_.Reset();
    TakeNode(*attested);
    return;
  }
  const absl::Status& why = attested.status();
  const absl::Duration wait = attestation_backoff_.Next(around_.random);
  if (RefusalOf(why) == Refusal::kBanned && options_.has_served) {
    ForgetAndExit(kBanned, why);
    return;
  }
  // A refusal, or what the operator has to mend, is no better in a minute.
  const bool is_final = absl::IsPermissionDenied(why) || absl::IsFailedPrecondition(why) ||
                        Now() + wait - attesting_since_ > kAttestationPatience;
  if (is_final && !options_.has_served) {
    log::Error("Node attestation failed", {{"error", why}});
    Exit(1, why);
    return;
  }
  log::Warn("Node attestation failed; it is tried again",
            {{"error", why}, {"retry_interval", absl::FormatDuration(wait)}});
  attestation_timer_ = around_.loop.After(wait, [this] { BeginAttestation(); });
}

// The node has a new SVID, or its stored one.
void IdentityCore::TakeNode(const NodeFacts& facts) {
  if (phase_ == Phase::kAttesting) {
    phase_ = Phase::kFirstSync;
    next_sync_ = Now();
  }
  node_ = facts;
  rotation_ = Rotation::kWhenDue;
  rotate_by_attestation_ = facts.reattestable;
  rotate_at_ = DrawRotation(facts.validity, options_.availability_target, around_.random);
  if (!is_stored_svid_) {
    rotate_at_ = NotTooSoon(rotate_at_, facts.validity, around_.clock.Now());
  }
  rotate_after_ = absl::ZeroDuration();
  rotation_backoff_.Reset();
  next_sync_ = std::min(next_sync_, Now() + options_.sync_interval);
  if (options_.availability_target.has_value() &&
      !CanHold(options_.availability_target, facts.validity)) {
    log::Warn("availability_target cannot be held by the agent SVID's lifetime",
              {{"subsystem_name", kSubsystem}});
  }
  Step();
}

// Since boot.
absl::Duration IdentityCore::RotationTime() const {
  if (rotation_ == Rotation::kNone) {
    return absl::InfiniteDuration();
  }
  const absl::Duration drawn = Now() + (rotate_at_ - around_.clock.Now());
  return rotation_ == Rotation::kNow ? rotate_after_ : std::max(rotate_after_, drawn);
}

// No other call is under way: one on the old SVID would be refused once the new one is used.
void IdentityCore::BeginRotation() {
  const bool by_attestation = rotate_by_attestation_;
  OnSyncThread([this, by_attestation]() -> Done {
    auto rotated = std::make_shared<absl::StatusOr<NodeFacts>>(
        by_attestation ? around_.node.Attest() : around_.node.Renew());
    return [this, rotated] { OnRotated(*rotated); };
  });
}

void IdentityCore::OnRotated(const absl::StatusOr<NodeFacts>& rotated) {
  if (phase_ == Phase::kStopped) {
    return;
  }
  if (rotated.ok()) {
    is_stored_svid_ = false;
    log::Info("Agent SVID has been renewed",
              {{"spiffe_id", rotated->id.ToString()},
               {"expires_at", absl::FormatTime(rotated->validity.not_after, absl::UTCTimeZone())},
               {"subsystem_name", kSubsystem}});
    TakeNode(*rotated);
    return;
  }
  const absl::Status& why = rotated.status();
  const Refusal refusal = RefusalOf(why);
  if (refusal == Refusal::kMustReattest && !rotate_by_attestation_) {
    rotate_by_attestation_ = true;
    rotation_ = Rotation::kNow;
  } else if (refusal == Refusal::kBanned ||
             (refusal != Refusal::kNone && !rotate_by_attestation_)) {
    OnRefusal(refusal, why);
  } else if (!rotate_by_attestation_ && node_->validity.not_after < around_.clock.Now() &&
             svids_.size() == 0) {
    ForgetAndExit("Agent SVID has expired and cannot be renewed: shutting down", why);
  } else {
    const absl::Duration wait = rotation_backoff_.Next(around_.random);
    rotate_after_ = Now() + wait;
    log::Warn("Renewing the agent SVID failed; it is tried again",
              {{"error", why},
               {"expires_at", absl::FormatTime(node_->validity.not_after, absl::UTCTimeZone())},
               {"retry_interval", absl::FormatDuration(wait)},
               {"subsystem_name", kSubsystem}});
  }
  Step();
}

// The upstream does not take this agent for what it was.
void IdentityCore::OnRefusal(Refusal refusal, const absl::Status& why) {
  if (phase_ == Phase::kStopped || phase_ == Phase::kAttesting) {
    return;
  }
  if (refusal == Refusal::kBanned) {
    ForgetAndExit(kBanned, why);
    return;
  }
  if (phase_ == Phase::kFirstSync && std::exchange(is_stored_svid_, false)) {
    log::Warn("The stored agent SVID is refused: attesting anew", {{"error", why}});
    attesting_since_ = Now();
    node_.reset();
    phase_ = Phase::kAttesting;
    OnSyncThread([this]() -> Done {
      around_.node.Forget();
      return [this] { BeginAttestation(); };
    });
    return;
  }
  if (!rotate_by_attestation_) {
    ForgetAndExit(kCannotReattest, why);
    return;
  }
  if (rotation_ == Rotation::kNow) {
    return;
  }
  log::Warn("Agent needs to re-attest", {{"error", why}, {"subsystem_name", kSubsystem}});
  rotation_ = Rotation::kNow;
  rotate_after_ = absl::ZeroDuration();
}

void IdentityCore::ForgetAndExit(std::string_view phrase, const absl::Status& why) {
  log::Error(phrase, {{"error", why}, {"subsystem_name", kSubsystem}});
  phase_ = Phase::kStopped;
  svids_.Clear();
  if (serve_ != nullptr) {
    serve_->Drop();
  }
  OnSyncThread([this, reason = std::string(phrase)]() -> Done {
    around_.node.Forget();
    return [this, reason] { around_.on_exit(1, reason); };
  });
}

void IdentityCore::Exit(int code, const absl::Status& why) {
  phase_ = Phase::kStopped;
  around_.on_exit(code, Message(why));
}

void IdentityCore::Step() {
  if (phase_ != Phase::kFirstSync && phase_ != Phase::kServing) {
    return;
  }
  CollectDue();
  BeginDueJobs();
  CommitToServe();
  Arm();
}

void IdentityCore::CollectDue() {
  const absl::Time now = around_.clock.Now();
  for (const std::string& id : svids_.TakeExpired(now)) {
    log::Warn("X509-SVID has expired and is not served any more",
              {{"entry", id}, {"subsystem_name", kSubsystem}});
    if (serve_ != nullptr) {
      serve_->SvidChanged(id);
    }
    changed_ = true;
    Enqueue(id, Urgency::kExpiring, now);
  }
  for (const auto& [id, expires] : svids_.TakeDue(now)) {
    Enqueue(id, Urgency::kExpiring, expires);
  }
  while (!retries_.empty() && retries_.begin()->first <= Now()) {
    const std::string id = retries_.begin()->second;
    retries_.erase(retries_.begin());
    FailingEntry& failing = failing_.at(id);
    failing.retry_at = absl::InfiniteDuration();
    Enqueue(id, failing.urgency, now);
  }
}

void IdentityCore::BeginDueJobs() {
  if (RotationTime() <= Now()) {
    // What is under way ends first, and has this looked at again.
    if (!is_busy()) {
      BeginRotation();
    }
    return;
  }
  if (!sync_busy_ && next_sync_ <= Now()) {
    BeginSync();
  }
  if (!queue_.is_away() && sign_after_ <= Now()) {
    BeginSigning();
  }
}

void IdentityCore::Arm() {
  around_.loop.Cancel(timer_);
  absl::Duration wait = kLongestSleep;
  const auto at = [&](absl::Duration when) {
    wait = std::min(wait, std::max(when - Now(), absl::ZeroDuration()));
  };
  // Nothing waits for a time that has come: the job under way looks at it when it is done.
  const bool rotates = RotationTime() <= Now();
  if (!rotates && !sync_busy_) {
    at(next_sync_);
    at(RotationTime());
  }
  if (!rotates && !queue_.empty() && !queue_.is_away()) {
    at(sign_after_);
  }
  if (!retries_.empty()) {
    at(retries_.begin()->first);
  }
  if (const auto deadline = svids_.NextDeadline(); deadline.has_value()) {
    at(Now() + (*deadline - around_.clock.Now()) + absl::Milliseconds(1));
  }
  timer_ = around_.loop.After(wait, [this] {
    timer_ = 0;
    Step();
  });
}

}  // namespace assay
