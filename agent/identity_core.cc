// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_core.h"

#include <algorithm>

#include "base/log.h"

namespace assay {
namespace {

constexpr absl::Duration kFirstRetry = absl::Seconds(5);
constexpr absl::Duration kLongestRetry = absl::Minutes(2);
constexpr absl::Duration kFirstSigningRetry = absl::Milliseconds(500);
constexpr absl::Duration kLongestSigningRetry = absl::Minutes(4);
constexpr absl::Duration kLongestSyncRetry = absl::Minutes(8);
constexpr int kMostSyncIntervals = 48;
// A step of the wall clock is noticed after this time at the latest.
constexpr absl::Duration kLongestSleep = absl::Seconds(10);
constexpr std::string_view kSubsystem = "manager";

}  // namespace

IdentityCore::IdentityCore(Options options, Surroundings surroundings)
    : options_(std::move(options)),
      around_(std::move(surroundings)),
      attestation_backoff_(kFirstRetry, kLongestRetry),
      rotation_backoff_(kFirstRetry, kLongestRetry),
      bundle_schedule_(options_.trust_domain.name(), options_.sync_interval),
      sync_backoff_(options_.sync_interval,
                    std::min(options_.sync_interval * kMostSyncIntervals, kLongestSyncRetry)),
      signing_backoff_(kFirstSigningRetry, kLongestSigningRetry),
      jwts_(options_.trust_domain.name(), options_.jwt_cache_size, JwtSurroundings()),
      reports_(around_.loop, around_.clock, [this](uint64_t number) {
        if (serve_ != nullptr) {
          serve_->AskReport(number);
        }
      }) {}

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
  jwts_.SetMostSvids(options.jwt_cache_size);
  next_sync_ = std::min(next_sync_, Now() + options_.sync_interval);
  bundle_schedule_.SetInterval(options_.sync_interval, Now());
  if (phase_ == Phase::kServing) {
    EvictUnused();
    PrefetchMore();
  }
  Step();
}

void IdentityCore::OnLoaded(const absl::StatusOr<std::optional<NodeFacts>>& loaded) {
  attestation_error_ = loaded.status();
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
    if (CanRebootstrap(**loaded)) {
      TakeNode(**loaded);
    }
  } else {
    BeginAttestation();
  }
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
  NoteReadiness();
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
    NoteChange();
    Enqueue(id, Urgency::kExpiring, now);
  }
  for (const auto& [id, expires] : svids_.TakeDue(now)) {
    Enqueue(id, Urgency::kExpiring, expires);
  }
  jwts_.CollectDue();
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
    // What is under way ends first, and has this looked at again. A call for a bundle may go on: it
    // needs no SVID, unless it were another upstream's bundle.
    if (!calls_as_node() && (rotate_by_trust_ == NodeIdentity::Trust::kKnown || !bundle_busy_)) {
      BeginRotation();
    }
    return;
  }
  if (!sync_busy_ && next_sync_ <= Now()) {
    BeginSync();
  }
  if (const auto due = bundle_schedule_.Due(Now()); due.has_value() && !bundle_busy_) {
    BeginBundle(*due);
  }
  // Only by the bundle it shows whether others will accept an SVID.
  if (!queue_.is_away() && sign_after_ <= Now() &&
      bundles_.contains(options_.trust_domain.name())) {
    BeginSigning();
  }
  jwts_.BeginDue();
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
  if (!rotates && !bundle_busy_) {
    at(bundle_schedule_.NextTime());
  }
  if (!rotates && !queue_.empty() && !queue_.is_away() &&
      bundles_.contains(options_.trust_domain.name())) {
    at(sign_after_);
  }
  if (!rotates) {
    at(jwts_.NextTime());
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
