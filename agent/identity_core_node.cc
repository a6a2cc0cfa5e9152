// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: the node's own identity, its attestation, its renewal, and what refuses it.
#include <algorithm>
#include <utility>

#include "agent/identity_core.h"
#include "base/log.h"

namespace assay {
namespace {

// How long a new node is tried to be attested before whoever started the agent is told.
constexpr absl::Duration kAttestationPatience = absl::Minutes(1);
// The same where a bundle that does not fit may be replaced meanwhile.
constexpr absl::Duration kRebootstrapPatience = absl::Hours(24);
constexpr std::string_view kSubsystem = "manager";
constexpr std::string_view kBanned = "Agent is banned: removing SVID and shutting down";
constexpr std::string_view kCannotReattest =
    "Agent needs to re-attest: removing SVID and shutting down";

}  // namespace

void IdentityCore::BeginAttestation() {
  phase_ = Phase::kAttesting;
  attestation_timer_ = 0;
  given_up_.clear();
  OnSyncThread([this]() -> Done {
    auto attested = std::make_shared<absl::StatusOr<NodeFacts>>(around_.node.Attest());
    return [this, attested] { OnAttested(*attested); };
  });
}

void IdentityCore::OnAttested(const absl::StatusOr<NodeFacts>& attested) {
  attestation_error_ = attested.status();
  if (attested.ok()) {
    is_stored_svid_ = false;
    attestation_backoff_.Reset();
    if (CanRebootstrap(*attested)) {
      TakeNode(*attested);
    }
    return;
  }
  const absl::Status& why = attested.status();
  const absl::Duration wait = attestation_backoff_.Next(around_.random);
  if (RefusalOf(why) == Refusal::kBanned && options_.has_served) {
    ForgetAndExit(kBanned, why);
    return;
  }
  // A refusal, or what the operator has to mend, is no better in a minute.
  const absl::Duration patience = options_.rebootstrap_mode == RebootstrapMode::kNever
                                      ? kAttestationPatience
                                      : kRebootstrapPatience;
  const bool is_final = absl::IsPermissionDenied(why) || absl::IsFailedPrecondition(why) ||
                        Now() + wait - attesting_since_ > patience;
  if (is_final && !options_.has_served) {
    log::Error("Node attestation failed", {{"error", why}});
    Exit(1, why);
    return;
  }
  log::Warn("Node attestation failed; it is tried again",
            {{"error", why}, {"retry_interval", absl::FormatDuration(wait)}});
  attestation_timer_ = around_.loop.After(wait, [this] { BeginAttestation(); });
}

// Whether the node can do what is asked of it, or does not have to; else the agent is ended. One
// that has served goes on without.
bool IdentityCore::CanRebootstrap(const NodeFacts& facts) {
  constexpr std::string_view kNotAllowed =
      "you have requested rebootstrap support but the NodeAttestor plugin or the spire server "
      "configuration is not allowing it";
  if (options_.rebootstrap_mode == RebootstrapMode::kNever || facts.reattestable) {
    return true;
  }
  if (options_.rebootstrap_mode == RebootstrapMode::kAlways && !options_.has_served) {
    log::Error(kNotAllowed, {{"subsystem_name", kSubsystem}});
    Exit(1, FailedPrecondition("{}", kNotAllowed));
    return false;
  }
  log::Warn(fmt::format("{}. Disabling", kNotAllowed), {{"subsystem_name", kSubsystem}});
  return true;
}

// The node has a new SVID, or its stored one.
void IdentityCore::TakeNode(const NodeFacts& facts) {
  if (phase_ == Phase::kAttesting) {
    phase_ = Phase::kFirstSync;
    next_sync_ = Now();
  }
  node_ = facts;
  ++node_number_;
  NoteChange();
  if (std::exchange(rotate_by_trust_, NodeIdentity::Trust::kKnown) == NodeIdentity::Trust::kAnew) {
    for (const auto& [name, bundle] : bundles_) {
      foreign_numbers_.insert(name);
    }
    bundle_schedule_.Restart(Now());
  }
  // One of an authority that was given up while it was issued is no better than that before.
  rotation_ = given_up_.contains(facts.authority_key_id) ? Rotation::kNow : Rotation::kWhenDue;
  rotate_by_attestation_ = facts.reattestable;
  rotate_at_ = DrawRotation(facts.validity, options_.availability_target, around_.random);
  if (!is_stored_svid_) {
    if (tainted_.contains(facts.authority_key_id)) {
      rotate_at_ = around_.clock.Now();
    }
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
  const bool at_once =
      rotation_ == Rotation::kNow || rotate_by_trust_ == NodeIdentity::Trust::kAnew;
  return at_once ? rotate_after_ : std::max(rotate_after_, drawn);
}

// No other call is under way: one on the old SVID would be refused once the new one is used.
void IdentityCore::BeginRotation() {
  const bool by_attestation = rotate_by_attestation_;
  given_up_.clear();
  OnSyncThread([this, by_attestation, trust = rotate_by_trust_]() -> Done {
    auto rotated = std::make_shared<absl::StatusOr<NodeFacts>>(
        by_attestation ? around_.node.Attest(trust) : around_.node.Renew());
    return [this, rotated] { OnRotated(*rotated); };
  });
}

void IdentityCore::OnRotated(const absl::StatusOr<NodeFacts>& rotated) {
  if (phase_ == Phase::kStopped) {
    return;
  }
  renewal_error_ = rotated.status();
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

// Whether the node may begin anew, and has not been told to yet.
bool IdentityCore::IsAboutToBeginAnew(absl::Duration until_rebootstrap) const {
  return until_rebootstrap != absl::InfiniteDuration() && rotate_by_attestation_ &&
         rotate_by_trust_ != NodeIdentity::Trust::kAnew;
}

// Its certificate is of an authority that the bundle does not have. That may be an impostor, or the
// upstream after a disaster: only the bootstrap source knows.
void IdentityCore::OnUntrusted(absl::Duration until_rebootstrap) {
  if (IsAboutToBeginAnew(until_rebootstrap) && until_rebootstrap <= absl::ZeroDuration()) {
    rotate_by_trust_ = NodeIdentity::Trust::kAnew;
    rotate_after_ = absl::ZeroDuration();
  }
}

void IdentityCore::ForgetAndExit(std::string_view phrase, const absl::Status& why) {
  log::Error(phrase, {{"error", why}, {"subsystem_name", kSubsystem}});
  phase_ = Phase::kStopped;
  svids_.Clear();
  jwts_.Clear();
  if (serve_ != nullptr) {
    serve_->Drop();
  }
  OnSyncThread([this, reason = std::string(phrase)]() -> Done {
    around_.node.Forget();
    return [this, reason] { around_.on_exit(1, reason); };
  });
}

}  // namespace assay
