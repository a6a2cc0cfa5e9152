// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: having SVIDs signed, for callers that wait, before they expire, and ahead.
#include <algorithm>
#include <utility>

#include "agent/identity_core.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "manager";
constexpr std::string_view kCacheSubsystem = "cache_manager";
// What a caller asked for so lately is kept, though there be more than should be ready.
constexpr absl::Duration kLeastKept = absl::Minutes(1);
// While a caller waits the upstream is tried at least so often.
constexpr absl::Duration kLongestWaitingRetry = absl::Seconds(5);
constexpr absl::Duration kWaitingItemRetry = absl::Seconds(1);

}  // namespace

void IdentityCore::Enqueue(const std::string& entry_id, Urgency urgency, absl::Time expires) {
  if (entries_.Find(entry_id) == nullptr) {
    return;
  }
  if (const auto at = away_.find(entry_id); at != away_.end()) {
    at->second = std::min(at->second, urgency);
    return;
  }
  queue_.Add(entry_id, urgency, expires);
}

// Has as many SVIDs ready as there is room for.
void IdentityCore::PrefetchMore() {
  size_t taken = svids_.size() + queue_.size() + away_.size() + retries_.size();
  for (size_t place = 0; place < entries_.places() && taken < options_.cache_size; ++place) {
    const StoredEntry* entry = entries_.At(place);
    if (entry == nullptr || !entry->wants_prefetch) {
      continue;
    }
    const std::string id(entry->id());
    if (svids_.Find(id) == nullptr && !queue_.Contains(id) && !away_.contains(id) &&
        !failing_.contains(id)) {
      queue_.Add(id, Urgency::kPrefetch);
      ++taken;
    }
  }
}

void IdentityCore::EvictUnused() {
  for (const std::string& id : svids_.Evict(options_.cache_size, Now() - kLeastKept)) {
    log::Debug("X509-SVID makes way for others",
               {{"entry", id}, {"subsystem_name", kCacheSubsystem}});
    queue_.Remove(id);
    if (serve_ != nullptr) {
      serve_->SvidChanged(id);
    }
    changed_ = true;
  }
}

void IdentityCore::DropSvid(const std::string& entry_id) {
  if (svids_.Remove(entry_id) && serve_ != nullptr) {
    serve_->SvidChanged(entry_id);
  }
  changed_ = true;
}

void IdentityCore::BeginSigning() {
  const bool has_waiting = queue_.has_waiting();
  const std::vector<std::string> ids = queue_.TakeBatch();
  if (ids.empty()) {
    return;
  }
  std::vector<SigningOrder> orders;
  for (const std::string& id : ids) {
    const StoredEntry* entry = entries_.Find(id);
    const bool renewal = svids_.Find(id) != nullptr;
    away_[id] = has_waiting ? Urgency::kWaiting : renewal ? Urgency::kExpiring : Urgency::kPrefetch;
    orders.push_back({.entry_id = id,
                      .spiffe_id = SpiffeIdOf(*entry),
                      .revision_number = entry->revision_number});
    log::Info(
        renewal ? "Renewing X509-SVID" : "Creating X509-SVID",
        {{"entry_id", id}, {"spiffe_id", orders.back().spiffe_id}, {"subsystem_name", kSubsystem}});
  }
  log::Debug("Renewing stale entries", {{"cache_type", "workload"},
                                        {"count", orders.size()},
                                        {"limit", SigningQueue::kMostAtOnce},
                                        {"subsystem_name", kSubsystem}});
  around_.run_signing([this, orders = std::move(orders)] {
    auto batch =
        std::make_shared<SignedBatch>(SignBatch(around_.upstream, options_.key_type, orders));
    around_.loop.Post([this, batch] { OnSigned(*batch); });
  });
}

void IdentityCore::OnSigned(SignedBatch& batch) {
  const std::unordered_map<std::string, Urgency> away = std::exchange(away_, {});
  queue_.Finish(batch.status.ok());
  if (phase_ == Phase::kStopped) {
    return;
  }
  if (!batch.status.ok()) {
    for (const auto& [id, urgency] : away) {
      const ReadySvid* svid = svids_.Find(id);
      Enqueue(id, urgency, svid == nullptr ? absl::InfiniteFuture() : svid->expires);
    }
    OnBatchFailed(batch.status);
  } else {
    signing_backoff_.Reset();
    sign_after_ = absl::ZeroDuration();
    for (SignedSvid& result : batch.results) {
      TakeSvid(result, away.at(result.order.entry_id));
    }
    PrefetchMore();
  }
  Step();
}

void IdentityCore::OnBatchFailed(const absl::Status& why) {
  absl::Duration wait = signing_backoff_.Next(around_.random);
  if (queue_.has_waiting()) {
    wait = std::min(wait, kLongestWaitingRetry);
  }
  sign_after_ = Now() + wait;
  log::Warn("Fetching X509-SVIDs failed; it is tried again",
            {{"error", why},
             {"retry_interval", absl::FormatDuration(wait)},
             {"subsystem_name", kSubsystem}});
  if (const Refusal refusal = RefusalOf(why); refusal != Refusal::kNone) {
    OnRefusal(refusal, why);
  }
}

void IdentityCore::TakeSvid(SignedSvid& result, Urgency urgency) {
  const std::string& id = result.order.entry_id;
  const StoredEntry* entry = entries_.Find(id);
  if (entry == nullptr) {
    return;
  }
  const absl::Time now = around_.clock.Now();
  if (result.status.ok() && result.validity.not_after < now) {
    result.status = InvalidArgument("it has expired already");
  }
  if (!result.status.ok()) {
    log::Warn("Fetching an X509-SVID failed; it is tried again",
              {{"entry_id", id},
               {"error", result.status},
               {"spiffe_id", result.order.spiffe_id},
               {"subsystem_name", kSubsystem}});
    RetryLater(id, urgency,
               urgency == Urgency::kWaiting ? kWaitingItemRetry : options_.sync_interval);
    return;
  }
  failing_.erase(id);
  if (entry->revision_number != result.order.revision_number) {
    // The entry has changed meanwhile, maybe to another identity.
    Enqueue(id, urgency, now);
    return;
  }
  result.svid.rotate = DrawRotation(result.validity, options_.availability_target, around_.random);
  svids_.Put(id, std::move(result.svid), Now());
  log::Debug(
      "SVID updated",
      {{"entry", id}, {"spiffe_id", result.order.spiffe_id}, {"subsystem_name", kCacheSubsystem}});
  if (serve_ != nullptr) {
    serve_->SvidChanged(id);
  }
  changed_ = true;
}

void IdentityCore::RetryLater(const std::string& entry_id, Urgency urgency, absl::Duration wait) {
  failing_.insert(entry_id);
  retries_.emplace(Now() + Jittered(wait, around_.random), std::make_pair(entry_id, urgency));
}

}  // namespace assay
