// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_jwt_svids.h"

#include <algorithm>

namespace assay {

const ReadyJwtSvid* JwtSvidStore::Find(const JwtSvidKey& key) const {
  const auto at = svids_.find(key);
  return at == svids_.end() ? nullptr : &at->second.svid;
}

void JwtSvidStore::Put(const JwtSvidKey& key, ReadyJwtSvid svid) {
  const auto [at, is_new] = svids_.try_emplace(key);
  if (is_new) {
    NoteUse(at);
  } else {
    ForgetTimes(at);
  }
  at->second.svid = std::move(svid);
  at->second.used = false;
  by_expiry_.emplace(at->second.svid.expires, key);
}

void JwtSvidStore::NoteUse(Svids::iterator at) {
  uint64_t& last_use = at->second.last_use;
  by_use_.erase(last_use);
  uses_.Remove(at->first.entry_id, last_use);
  last_use = ++last_use_;
  by_use_.emplace(last_use, at);
  uses_.Add(at->first.entry_id, last_use);
}

void JwtSvidStore::ForgetTimes(Svids::iterator at) {
  by_refresh_.erase({at->second.svid.refresh, at->first});
  by_expiry_.erase({at->second.svid.expires, at->first});
}

void JwtSvidStore::Forget(Svids::iterator at) {
  ForgetTimes(at);
  by_use_.erase(at->second.last_use);
  uses_.Remove(at->first.entry_id, at->second.last_use);
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
  while (!svids_.empty()) {
    Forget(svids_.begin());
  }
}

void JwtSvidStore::Use(const JwtSvidKey& key) {
  const auto at = svids_.find(key);
  if (at == svids_.end()) {
    return;
  }
  NoteUse(at);
  if (!std::exchange(at->second.used, true)) {
    by_refresh_.emplace(at->second.svid.refresh, key);
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

std::vector<JwtSvidKey> JwtSvidStore::NotSignedBy(const std::set<std::string>& key_ids) const {
  std::vector<JwtSvidKey> keys;
  for (const auto& [key, held] : svids_) {
    if (!key_ids.contains(held.svid.key_id)) {
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
    const auto at = by_use_.at(*uses_.OldestOfLargest());
    evicted.push_back(at->first);
    Forget(at);
  }
  return evicted;
}

}  // namespace assay
