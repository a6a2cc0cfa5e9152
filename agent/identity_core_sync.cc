// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: entries and bundles, in step with the upstream and told to serve.
#include <algorithm>
#include <utility>

#include "agent/identity_core.h"
#include "agent/version.h"
#include "assay/roles.pb.h"
#include "base/log.h"
#include "crypto/digest.h"

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

std::set<std::string> TaintedKeyIds(const TrustBundle& bundle) {
  std::set<std::string> ids;
  for (const X509Authority& authority : bundle.x509_authorities) {
    if (authority.tainted && !authority.certificate.subject_key_id().empty()) {
      ids.insert(authority.certificate.subject_key_id());
    }
  }
  return ids;
}

}  // namespace

void IdentityCore::BeginSync() {
  sync_started_ = Now();
  auto pass = std::make_shared<SyncPass>(entries_);
  const bool post_status = !std::exchange(status_posted_, true);
  OnSyncThread([this, pass, post_status, domains = entries_.FederatedDomains()]() -> Done {
    if (post_status) {
      if (const absl::Status posted = around_.upstream.PostStatus(kVersion); !posted.ok()) {
        log::Warn("Telling the upstream this agent's version failed", {{"error", posted}});
      }
    }
    auto outcome = std::make_shared<SyncOutcome>(SyncWith(around_.upstream, *pass, domains));
    if (outcome->bundle.ok()) {
      around_.node.SetBundle(*outcome->bundle);
    }
    return [this, pass, outcome] { OnSynced(*outcome, *pass); };
  });
}

void IdentityCore::OnSynced(const SyncOutcome& outcome, SyncPass& pass) {
  if (phase_ == Phase::kStopped) {
    return;
  }
  if (outcome.entries.ok()) {
    const EntryStore::Changes changes = entries_.Apply(pass);
    ApplyEntries(changes);
    is_stored_svid_ = false;
    last_sync_ = around_.clock.Now();
    changed_ = true;
    sync_backoff_.Reset();
    next_sync_ = Now() + Jittered(options_.sync_interval, around_.random);
    if (std::exchange(sync_fails_, false)) {
      log::Info("Synchronized with the upstream again", {{"subsystem_name", kSubsystem}});
    }
    early_gap_ = changes.empty()
                     ? std::min(std::max(early_gap_, kFirstEarlyGap) * 2, options_.sync_interval)
                     : std::min(kFirstEarlyGap, options_.sync_interval);
  }
  ApplyOwnBundle(outcome);
  ApplyFederatedBundles(outcome);
  if (!outcome.entries.ok()) {
    OnSyncFailed(outcome.entries);
  } else if (phase_ == Phase::kFirstSync && bundles_.contains(options_.trust_domain.name())) {
    OnServing();
  }
  if (std::exchange(early_sync_wanted_, false)) {
    SyncEarly();
  }
  EvictUnused();
  PrefetchMore();
  Step();
}

void IdentityCore::OnSyncFailed(const absl::Status& why) {
  const absl::Duration wait = sync_backoff_.Next(around_.random);
  next_sync_ = Now() + wait;
  sync_fails_ = true;
  log::Warn("Synchronize failed",
            {{"error", fmt::format("failed to fetch authorized entries: {}", Message(why))},
             {"retry_interval", absl::FormatDuration(wait)},
             {"subsystem_name", kSubsystem}});
  if (const Refusal refusal = RefusalOf(why); refusal != Refusal::kNone) {
    OnRefusal(refusal, why);
  }
}

void IdentityCore::ApplyEntries(const EntryStore::Changes& changes) {
  const auto tell = [this](const std::string& id) {
    if (serve_ != nullptr) {
      serve_->EntryChanged(id);
    }
  };
  for (const std::string& id : changes.removed) {
    log::Debug("Entry removed", {{"entry", id}, {"subsystem_name", kCacheSubsystem}});
    DropSvid(id);
    queue_.Remove(id);
    StopRetrying(id);
    tell(id);
  }
  for (const EntryStore::Update& update : changes.updated) {
    LogEntry("Entry updated", *entries_.Find(update.id));
    if (update.new_identity) {
      // The old SVID must not be handed out for what the entry grants now.
      DropSvid(update.id);
      Enqueue(update.id, Urgency::kExpiring, around_.clock.Now());
    } else if (svids_.Find(update.id) != nullptr) {
      Enqueue(update.id, Urgency::kExpiring, around_.clock.Now());
    }
    tell(update.id);
  }
  for (const std::string& id : changes.created) {
    LogEntry("Entry created", *entries_.Find(id));
    tell(id);
  }
}

void IdentityCore::ApplyOwnBundle(const SyncOutcome& outcome) {
  const std::string& name = options_.trust_domain.name();
  const absl::StatusOr<TrustBundle>& fetched = outcome.bundle;
  if (!fetched.ok()) {
    // Where the entries failed too, that is told.
    if (outcome.entries.ok() && !std::exchange(bundle_fails_, true)) {
      log::Warn("Fetching the trust bundle failed; it is tried again with each sync",
                {{"error", fetched.status()}, {"subsystem_name", kSubsystem}});
    }
    return;
  }
  if (std::exchange(bundle_fails_, false)) {
    log::Info("Trust bundle has been fetched again", {{"subsystem_name", kSubsystem}});
  }
  const auto at = bundles_.find(name);
  if (at != bundles_.end() && at->second == *fetched) {
    return;
  }
  if (at != bundles_.end()) {
    log::Debug("Bundle updated", {{"subsystem_name", kCacheSubsystem}, {"trust_domain_id", name}});
  }
  RotateTainted(*fetched);
  bundles_.insert_or_assign(name, *fetched);
  if (serve_ != nullptr) {
    serve_->BundleChanged(name);
  }
  changed_ = true;
}

// What an authority has issued that became tainted is replaced at once.
void IdentityCore::RotateTainted(const TrustBundle& bundle) {
  const auto known = bundles_.find(options_.trust_domain.name());
  const std::set<std::string> before =
      known == bundles_.end() ? std::set<std::string>() : TaintedKeyIds(known->second);
  for (const std::string& id : TaintedKeyIds(bundle)) {
    if (before.contains(id)) {
      continue;
    }
    const std::vector<std::string> issued = svids_.IssuedBy(id);
    log::Info("New tainted X.509 authorities found",
              {{"subject_key_ids", crypto::HexEncode(id)}, {"subsystem_name", kSubsystem}});
    if (!issued.empty()) {
      log::Info("Scheduled rotation for SVID entries due to tainted X.509 authorities",
                {{"count", issued.size()}, {"subsystem_name", kCacheSubsystem}});
    }
    for (const std::string& entry_id : issued) {
      Enqueue(entry_id, Urgency::kExpiring, around_.clock.Now());
    }
    if (node_.has_value() && node_->authority_key_id == id) {
      log::Info("Agent SVID is tainted by a root authority, forcing rotation",
                {{"subsystem_name", kSubsystem}});
      rotation_ = Rotation::kNow;
    }
  }
}

void IdentityCore::ApplyFederatedBundles(const SyncOutcome& outcome) {
  const auto tell = [this](const std::string& name) {
    if (serve_ != nullptr) {
      serve_->BundleChanged(name);
    }
    changed_ = true;
  };
  for (const auto& [name, fetched] : outcome.federated) {
    const auto at = bundles_.find(name);
    if (fetched.ok()) {
      missing_bundles_.erase(name);
      if (at == bundles_.end() || at->second != *fetched) {
        bundles_.insert_or_assign(name, *fetched);
        tell(name);
      }
      continue;
    }
    if (missing_bundles_.insert(name).second) {
      log::Warn(
          "Fetching a federated bundle failed",
          {{"error", fetched.status()}, {"trust_domain_id", name}, {"subsystem_name", kSubsystem}});
    }
    if (absl::IsNotFound(fetched.status()) && at != bundles_.end()) {
      bundles_.erase(at);
      tell(name);
    }
  }
  if (!outcome.entries.ok()) {
    return;
  }
  const std::vector<std::string> needed = entries_.FederatedDomains();
  for (auto at = bundles_.begin(); at != bundles_.end();) {
    const bool is_needed = at->first == options_.trust_domain.name() ||
                           std::binary_search(needed.begin(), needed.end(), at->first);
    if (is_needed) {
      ++at;
    } else {
      tell(at->first);
      at = bundles_.erase(at);
    }
  }
}

void IdentityCore::OnServing() {
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
  ASSIGN_OR_RETURN(serve_, ServeLink::Create(
                               around_.loop, std::move(channel), {entries_, svids_, bundles_},
                               [this](const roles::ServeRequest& request) { OnRequest(request); },
                               [this](const absl::Status& why) {
                                 around_.on_serve_ended(why);
                                 serve_.reset();
                               }));
  changed_ = true;
  CommitToServe();
  return absl::OkStatus();
}

void IdentityCore::OnRequest(const roles::ServeRequest& request) {
  if (request.has_refused()) {
    SyncEarly();
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
  if (serve_ != nullptr && phase_ == Phase::kServing && changed_) {
    changed_ = false;
    serve_->Commit(last_sync_);
  }
}

}  // namespace assay
