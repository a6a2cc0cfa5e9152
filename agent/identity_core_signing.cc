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
// What a caller asked for or has open so lately is kept, though there be more than should be ready.
// Serve tells of what is in use every 20 to 40 seconds.
constexpr absl::Duration kLeastKept = absl::Seconds(50);
// While a caller waits the upstream is tried at least so often.
constexpr absl::Duration kLongestWaitingRetry = absl::Seconds(5);
constexpr absl::Duration kFirstItemRetry = absl::Seconds(1);
constexpr absl::Duration kLongestItemRetry = absl::Minutes(5);

}  // namespace

void IdentityCore::Enqueue(const std::string& entry_id, Urgency urgency, absl::Time expires) {
  const StoredEntry* entry = entries_.Find(entry_id);
  if (entry == nullptr || (entry->for_store && !options_.has_stores)) {
    return;
  }
  if (const auto at = away_.find(entry_id); at != away_.end()) {
    at->second = std::min(at->second, urgency);
    return;
  }
  queue_.Add(entry_id, urgency, expires);
}

// Has as many SVIDs ready as there is room for; those for stores take none.
void IdentityCore::PrefetchMore() {
  const auto prefetch = [this](const std::string& id) {
    const bool is_new = svids_.Find(id) == nullptr && !queue_.Contains(id) && !away_.contains(id) &&
                        !failing_.contains(id);
    if (is_new) {
      queue_.Add(id, Urgency::kPrefetch);
    }
    return is_new;
  };
  size_t taken = svids_.size() + queue_.size() + away_.size() + retries_.size();
  for (const std::string& id : entries_.for_stores()) {
    taken -= PlacesTaken(id);
  }
  for (size_t place = 0; place < entries_.places() && taken < options_.cache_size; ++place) {
    const StoredEntry* entry = entries_.At(place);
    if (entry != nullptr && entry->wants_prefetch && prefetch(std::string(entry->id()))) {
      ++taken;
    }
  }
  if (options_.has_stores) {
    for (const std::string& id : entries_.for_stores()) {
      prefetch(id);
    }
  }
}

// In how many of svids_, queue_, away_ and retries_ it is.
size_t IdentityCore::PlacesTaken(const std::string& id) const {
  const auto failing = failing_.find(id);
  return (svids_.Find(id) != nullptr ? 1 : 0) + (queue_.Contains(id) ? 1 : 0) + away_.count(id) +
         (failing != failing_.end() ? retries_.count({failing->second.retry_at, id}) : 0);
}

// How many SVIDs for stores outside are ready.
size_t IdentityCore::StoreSvids() const {
  const auto& ids = entries_.for_stores();
  return std::count_if(ids.begin(), ids.end(),
                       [this](const std::string& id) { return svids_.Find(id) != nullptr; });
}

void IdentityCore::EvictUnused() {
  if (options_.has_stores) {
    for (const std::string& id : entries_.for_stores()) {
      svids_.Use(id, Now());
    }
  }
  for (const std::string& id :
       svids_.Evict(options_.cache_size + StoreSvids(), Now() - kLeastKept)) {
    log::Debug("X509-SVID makes way for others",
               {{"entry", id}, {"subsystem_name", kCacheSubsystem}});
    queue_.Remove(id);
    if (serve_ != nullptr) {
      serve_->SvidChanged(id);
    }
    NoteChange();
  }
}

void IdentityCore::DropSvid(const std::string& entry_id) {
  if (svids_.Remove(entry_id) && serve_ != nullptr) {
    serve_->SvidChanged(entry_id);
  }
  NoteChange();
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
                      .revision_number = entry->revision_number,
                      .created_at = entry->created_at});
    log::Info(
        renewal ? "Renewing X509-SVID" : "Creating X509-SVID",
        {{"entry_id", id}, {"spiffe_id", orders.back().spiffe_id}, {"subsystem_name", kSubsystem}});
  }
  log::Debug("Renewing stale entries", {{"cache_type", "workload"},
                                        {"count", orders.size()},
                                        {"limit", SigningQueue::kMostAtOnce},
                                        {"subsystem_name", kSubsystem}});
  given_up_.clear();
  around_.run_signing([this, key_type = options_.key_type, orders = std::move(orders),
                       bundle = bundles_.at(options_.trust_domain.name())] {
    auto batch = std::make_shared<SignedBatch>(
        SignBatch(around_.upstream, key_type, {bundle, around_.clock}, orders));
    around_.loop.Post([this, batch] { OnSigned(*batch); });
  });
}

void IdentityCore::OnSigned(SignedBatch& batch) {
  const std::unordered_map<std::string, Urgency> away = std::exchange(away_, {});
  queue_.Finish(batch.status.ok());
  signing_error_ = batch.status;
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
  if (!IsOfOrder(result.order, *entry)) {
    // The entry has changed meanwhile, or another took its id: maybe to another identity.
    Enqueue(id, urgency, now);
    return;
  }
  const std::string& authority = result.svid.authority_key_id;
  const bool is_given_up = result.status.ok() && given_up_.contains(authority);
  if (is_given_up && !tainted_.contains(authority)) {
    // Nobody accepts it any more; one that is there already may last for those who hold it.
    Enqueue(id, urgency, now);
    return;
  }
  if (result.status.ok()) {
    result.status = CheckFresh(result.validity, now);
  }
  if (!result.status.ok()) {
    if (result.is_untrusted) {
      bundle_schedule_.Hasten(options_.trust_domain.name(), Now());
    }
    RetryLater(result, urgency);
    return;
  }
  if (failing_.contains(id)) {
    log::Info("X509-SVID has been fetched again",
              {{"entry_id", id}, {"subsystem_name", kSubsystem}});
    StopRetrying(id);
  }
  const absl::Time rotate =
      tainted_.contains(authority)
          ? now
          : DrawRotation(result.validity, options_.availability_target, around_.random);
  result.svid.rotate = NotTooSoon(rotate, result.validity, now);
  svids_.Put(id, std::move(result.svid), Now());
  if (is_given_up) {
    Enqueue(id, Urgency::kExpiring, now);
  }
  log::Debug(
      "SVID updated",
      {{"entry", id}, {"spiffe_id", result.order.spiffe_id}, {"subsystem_name", kCacheSubsystem}});
  if (serve_ != nullptr) {
    serve_->SvidChanged(id);
  }
  NoteChange();
}

bool IdentityCore::IsOfOrder(const SigningOrder& order, const StoredEntry& entry) const {
  return entry.revision_number == order.revision_number && entry.created_at == order.created_at &&
         SpiffeIdOf(entry) == order.spiffe_id;
}

// A caller that waited has been kept waiting: unless one asks again, others come first now.
void IdentityCore::RetryLater(const SignedSvid& result, Urgency urgency) {
  const std::string& id = result.order.entry_id;
  const auto [at, is_first] =
      failing_.try_emplace(id, FailingEntry{.backoff = Backoff(kFirstItemRetry, kLongestItemRetry),
                                            .failed_at = {},
                                            .retry_at = absl::InfiniteDuration(),
                                            .urgency = urgency});
  FailingEntry& failing = at->second;
  const absl::Duration wait = failing.backoff.Next(around_.random);
  retries_.erase({failing.retry_at, id});
  failing.failed_at = Now();
  failing.retry_at = Now() + wait;
  failing.urgency = urgency == Urgency::kWaiting ? Urgency::kPrefetch : urgency;
  retries_.emplace(failing.retry_at, id);
  log::Write(is_first ? log::Level::kWarn : log::Level::kDebug,
             "Fetching an X509-SVID failed; it is tried again",
             {{"entry_id", id},
              {"error", result.status},
              {"retry_interval", absl::FormatDuration(wait)},
              {"spiffe_id", result.order.spiffe_id},
              {"subsystem_name", kSubsystem}});
}

void IdentityCore::StopRetrying(const std::string& entry_id) {
  if (const auto at = failing_.find(entry_id); at != failing_.end()) {
    retries_.erase({at->second.retry_at, entry_id});
    failing_.erase(at);
  }
}

}  // namespace assay
