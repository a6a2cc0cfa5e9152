// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_jwt_svids.h"

#include <algorithm>

namespace assay {

const ReadyJwtSvid* JwtSvidStore::Find(const JwtSvidKey& key) const {
  const auto at = svids_.find(key);
  return at == svids_.end() ? nullptr : &at->second.svid;
}

void JwtSvidStore::Put(const JwtSvidKey& key, ReadyJwtSvid svid, absl::Duration now) {
  if (const auto at = svids_.find(key); at != svids_.end()) {
    now = at->second.used_at;
    Forget(at);
  }
  by_expiry_.emplace(svid.expires, key);
  by_use_.emplace(now, key);
  svids_.emplace(key, Held{.svid = std::move(svid), .used_at = now});
}

void JwtSvidStore::Forget(Svids::iterator at) {
  const Held& held = at->second;
  by_refresh_.erase({held.svid.refresh, at->first});
  by_expiry_.erase({held.svid.expires, at->first});
  by_use_.erase({held.used_at, at->first});
  svids_.erase(at);
}

bool JwtSvidStore::Remove(const JwtSvidKey& key) {
  const auto at = svids_.find(key);
  if (at == svids_.end()) {
    return false;
  }
  Forget(at);
  return true;
}

void JwtSvidStore::Clear() {
  svids_.clear();
  by_refresh_.clear();
  by_expiry_.clear();
  by_use_.clear();
}

void JwtSvidStore::Use(const JwtSvidKey& key, absl::Duration now) {
  const auto at = svids_.find(key);
  if (at == svids_.end()) {
    return;
  }
  Held& held = at->second;
  by_use_.erase({held.used_at, key});
  held.used_at = std::max(held.used_at, now);
  by_use_.emplace(held.used_at, key);
  if (!std::exchange(held.used, true)) {
    by_refresh_.emplace(held.svid.refresh, key);
  }
}

std::vector<JwtSvidKey> JwtSvidStore::Keys() const {
  std::vector<JwtSvidKey> keys;
  for (const auto& [key, held] : svids_) {
    keys.push_back(key);
  }
  return keys;
}

std::vector<JwtSvidKey> JwtSvidStore::OfEntry(std::string_view entry_id) const {
  std::vector<JwtSvidKey> keys;
  for (auto at = svids_.lower_bound({std::string(entry_id), {}});
       at != svids_.end() && at->first.entry_id == entry_id; ++at) {
    keys.push_back(at->first);
  }
  return keys;
}

std::vector<JwtSvidKey> JwtSvidStore::SignedBy(const std::set<std::string>& key_ids) const {
  std::vector<JwtSvidKey> keys;
  for (const auto& [key, held] : svids_) {
    if (key_ids.contains(held.svid.key_id)) {
      keys.push_back(key);
    }
  }
  return keys;
}

std::optional<absl::Time> JwtSvidStore::NextDeadline() const {
  std::optional<absl::Time> next;
  for (const auto* deadlines : {&by_refresh_, &by_expiry_}) {
    if (!deadlines->empty()) {
      next = std::min(next.value_or(absl::InfiniteFuture()), deadlines->begin()->first);
    }
  }
  return next;
}

std::vector<JwtSvidKey> JwtSvidStore::TakeDue(absl::Time now) {
  std::vector<JwtSvidKey> due;
  while (!by_refresh_.empty() && by_refresh_.begin()->first <= now) {
    due.push_back(by_refresh_.begin()->second);
    by_refresh_.erase(by_refresh_.begin());
  }
  return due;
}

std::vector<JwtSvidKey> JwtSvidStore::TakeExpired(absl::Time now) {
  std::vector<JwtSvidKey> expired;
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now) {
    expired.push_back(by_expiry_.begin()->second);
    Remove(expired.back());
  }
  return expired;
}

std::vector<JwtSvidKey> JwtSvidStore::Evict(size_t most) {
  std::vector<JwtSvidKey> evicted;
  while (svids_.size() > most) {
    evicted.push_back(by_use_.begin()->second);
    Remove(evicted.back());
  }
  return evicted;
}

}  // namespace assay
