// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: entries, in step with the upstream and told to serve.
#include <algorithm>
#include <utility>

#include "agent/identity_core.h"
#include "agent/version.h"
#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "manager";
constexpr std::string_view kCacheSubsystem = "cache_manager";
// A caller that is refused brings the next sync forward to so long after the last one began.
constexpr absl::Duration kFirstEarlyGap = absl::Seconds(1);
// An entry that is not signed for is tried again so soon after the last time when a caller waits.
constexpr absl::Duration kLongestWaitingRetry = absl::Seconds(5);

void LogEntry(std::string_view phrase, const StoredEntry& entry) {
  if (log::GetLevel() <= log::Level::kDebug) {
    log::Debug(phrase, {{"entry", entry.id()},
                        {"spiffe_id", SpiffeIdOf(entry)},
                        {"subsystem_name", kCacheSubsystem}});
  }
}

void LogChanges(const EntryStore::Changes& changes, const EntryStore& entries) {
  for (const std::string& id : changes.removed) {
    log::Debug("Entry removed", {{"entry", id}, {"subsystem_name", kCacheSubsystem}});
  }
  for (const EntryStore::Update& update : changes.updated) {
    LogEntry("Entry updated", *entries.Find(update.id));
  }
  for (const std::string& id : changes.created) {
    LogEntry("Entry created", *entries.Find(id));
  }
}

}  // namespace

void IdentityCore::BeginSync() {
  sync_started_ = Now();
  auto pass = std::make_shared<SyncPass>(entries_, around_.clock.SinceBoot());
  OnSyncThread([this, pass, post_status = !status_posted_]() -> Done {
    auto outcome = std::make_shared<SyncOutcome>(Sync(*pass, post_status));
    return [this, pass, outcome] { OnSynced(*outcome, *pass); };
  });
}

// On the thread that syncs.
IdentityCore::SyncOutcome IdentityCore::Sync(SyncPass& pass, bool post_status) {
  SyncOutcome outcome;
  if (post_status) {
    outcome.posted = around_.upstream.PostStatus(kVersion);
  }
  outcome.status = around_.upstream.Sync(pass);
  if (outcome.status.ok()) {
    around_.node.NoteTrusted();
  } else if (IsUntrusted(outcome.status)) {
    outcome.until_rebootstrap = around_.node.UntilRebootstrap();
  }
  return outcome;
}

void IdentityCore::OnSynced(const SyncOutcome& outcome, SyncPass& pass) {
  if (phase_ == Phase::kStopped) {
    return;
  }
  sync_error_ = outcome.status;
  status_posted_ = status_posted_ || outcome.posted.ok();
  if (!outcome.posted.ok() && outcome.status.ok() && !std::exchange(status_fails_, true)) {
    log::Warn("Telling the upstream this agent's version failed", {{"error", outcome.posted}});
  }
  if (outcome.status.ok()) {
    const EntryStore::Changes changes = entries_.Apply(pass);
    ApplyEntries(changes);
    is_stored_svid_ = false;
    last_sync_ = around_.clock.Now();
    NoteChange();
    // While serving, serve is sent an entry before the log names it.
    CommitToServe();
    LogChanges(changes, entries_);
    sync_backoff_.Reset();
    next_sync_ = Now() + Jittered(options_.sync_interval, around_.random);
    if (std::exchange(sync_fails_, false)) {
      log::Info("Synchronized with the upstream again", {{"subsystem_name", kSubsystem}});
    }
    // The upstream is again what the bundle trusts. What else calls for a rotation still does.
    rotate_by_trust_ = NodeIdentity::Trust::kKnown;
    early_gap_ = changes.empty()
                     ? std::min(std::max(early_gap_, kFirstEarlyGap) * 2, options_.sync_interval)
                     : std::min(kFirstEarlyGap, options_.sync_interval);
    bundle_schedule_.Want(entries_.FederatedDomains(), Now());
    DropForeignBundles();
    ServeOnceComplete();
  } else {
    OnSyncFailed(outcome);
  }
  if (std::exchange(early_sync_wanted_, false)) {
    SyncEarly();
  }
  EvictUnused();
  PrefetchMore();
  Step();
}

absl::Duration IdentityCore::WaitAfterFailed(const SyncOutcome& outcome) {
  if (!IsAboutToBeginAnew(outcome.until_rebootstrap.value_or(absl::InfiniteDuration()))) {
    return sync_backoff_.Next(around_.random);
  }
  // Tried at the usual pace, so that the delay is kept to.
  sync_backoff_.Reset();
  return Jittered(options_.sync_interval, around_.random);
}

void IdentityCore::OnSyncFailed(const SyncOutcome& outcome) {
  const absl::Status& why = outcome.status;
  const absl::Duration wait = WaitAfterFailed(outcome);
  next_sync_ = Now() + wait;
  sync_fails_ = true;
  log::Warn("Synchronize failed",
            {{"error", fmt::format("failed to fetch authorized entries: {}", Message(why))},
             {"retry_interval", absl::FormatDuration(wait)},
             {"subsystem_name", kSubsystem}});
  if (const Refusal refusal = RefusalOf(why); refusal != Refusal::kNone) {
    OnRefusal(refusal, why);
  } else if (outcome.until_rebootstrap.has_value()) {
    OnUntrusted(*outcome.until_rebootstrap);
  }
}

void IdentityCore::ApplyEntries(const EntryStore::Changes& changes) {
  const auto tell = [this](const std::string& id) {
    if (serve_ != nullptr) {
      serve_->EntryChanged(id);
    }
  };
  entries_added_ += changes.created.size();
  entries_updated_ += changes.updated.size();
  entries_removed_ += changes.removed.size();
  for (const std::string& id : changes.removed) {
    DropSvid(id);
    jwts_.DropEntry(id);
    queue_.Remove(id);
    StopRetrying(id);
    tell(id);
  }
  for (const EntryStore::Update& update : changes.updated) {
    if (update.needs_new_svid) {
      // The old one must not be handed out for what the entry grants now.
      DropSvid(update.id);
      queue_.Remove(update.id);
      StopRetrying(update.id);
    }
    if (update.needs_new_svid || svids_.Find(update.id) != nullptr) {
      Enqueue(update.id, Urgency::kExpiring, around_.clock.Now());
    }
    if (update.needs_new_svid || entries_.Find(update.id)->jwt_svid_include_jti) {
      jwts_.DropEntry(update.id);
    }
    tell(update.id);
  }
  for (const std::string& id : changes.created) {
    tell(id);
  }
}

void IdentityCore::ServeOnceComplete() {
  if (phase_ != Phase::kFirstSync || last_sync_ == absl::UnixEpoch() ||
      !bundles_.contains(options_.trust_domain.name())) {
    return;
  }
  phase_ = Phase::kServing;
  log::Info("Starting agent APIs",
            {{"apis", "Workload API"}, {"network", "unix"}, {"subsystem_name", "endpoints"}});
  around_.on_serving();
}

// Each one in vain puts the next further off, so that a caller that is refused for good does not
// keep the upstream busy.
void IdentityCore::SyncEarly() {
  if (sync_fails_ || phase_ != Phase::kServing) {
    return;
  }
  if (sync_busy_) {
    early_sync_wanted_ = true;
    return;
  }
  const absl::Duration gap = std::max(early_gap_, kFirstEarlyGap);
  next_sync_ = std::min(next_sync_, std::max(Now(), sync_started_ + gap));
}

absl::Status IdentityCore::LinkServe(UniqueFd channel) {
  ASSIGN_OR_RETURN(
      serve_, ServeLink::Create(
                  around_.loop, std::move(channel), {entries_, svids_, bundles_, &jwts_.svids()},
                  [this](const roles::ServeRequest& request) { OnRequest(request); },
                  [this](const absl::Status& why) {
                    around_.on_serve_ended(why);
                    serve_.reset();
                  }));
  // Who waited for them did so through the serve role before.
  jwts_.ForgetAll();
  changed_ = true;
  CommitToServe();
  return absl::OkStatus();
}

void IdentityCore::OnRequest(const roles::ServeRequest& request) {
  if (request.has_report()) {
    reports_.Take(request.report());
    return;
  }
  if (request.has_refused()) {
    SyncEarly();
  } else if (OnJwtRequest(request)) {
    // That was all.
  } else if (request.has_used()) {
    for (const std::string& id : request.used().entry_ids()) {
      svids_.Use(id, Now());
    }
  } else {
    for (const std::string& id : request.wanted().entry_ids()) {
      OnWanted(id);
    }
  }
  Step();
}

void IdentityCore::OnWanted(const std::string& entry_id) {
  svids_.Use(entry_id, Now());
  if (svids_.Find(entry_id) != nullptr) {
    return;
  }
  const auto at = failing_.find(entry_id);
  if (at == failing_.end() || at->second.retry_at == absl::InfiniteDuration()) {
    Enqueue(entry_id, Urgency::kWaiting, absl::InfiniteFuture());
    return;
  }
  FailingEntry& failing = at->second;
  retries_.erase({failing.retry_at, entry_id});
  failing.retry_at = std::min(failing.retry_at, failing.failed_at + kLongestWaitingRetry);
  failing.urgency = Urgency::kWaiting;
  retries_.emplace(failing.retry_at, entry_id);
}

// Nothing is told before the first sync: half a state would look like entries taken away.
void IdentityCore::CommitToServe() {
  if (phase_ != Phase::kServing) {
    return;
  }
  if (around_.on_state && std::exchange(changed_for_stores_, false)) {
    around_.on_state({entries_, svids_, bundles_});
  }
  if (serve_ != nullptr && std::exchange(changed_, false)) {
    serve_->Commit({.last_sync = last_sync_,
                    .agent_chain = node_.has_value() ? node_->chain : "",
                    .store_svids = static_cast<int>(StoreSvids()),
                    .unready = unready_});
  }
}

void IdentityCore::NoteReadiness() {
  const bool unready = !Health().Reasons().empty();
  if (std::exchange(unready_, unready) != unready) {
    changed_ = true;
  }
}

IdentityHealth IdentityCore::Health() const {
  const auto is_unreplaced = [this](const std::string& id) { return !failing_.contains(id); };
  const auto& expired = svids_.expired();
  return {
      .phase = phase_,
      .now = around_.clock.Now(),
      .agent_expires = node_.has_value() ? std::optional(node_->validity.not_after) : std::nullopt,
      .attestation_error = attestation_error_,
      .renewal_error = renewal_error_,
      .last_sync = last_sync_ == absl::UnixEpoch() ? std::nullopt : std::optional(last_sync_),
      .sync_error = sync_error_,
      .entries = entries_.size(),
      .bundles = bundles_.size(),
      .entries_added = entries_added_,
      .entries_updated = entries_updated_,
      .entries_removed = entries_removed_,
      .svids = svids_.size(),
      .earliest_expiry = svids_.EarliestExpiry(),
      .expired_svids =
          static_cast<size_t>(std::count_if(expired.begin(), expired.end(), is_unreplaced)),
      .refused_svids = failing_.size(),
      .callers_wait = queue_.has_waiting(),
      .signing_error = signing_error_,
      .jwt_svids = jwts_.svids().size()};
}

}  // namespace assay
