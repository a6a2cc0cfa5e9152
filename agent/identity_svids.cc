// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_svids.h"

#include <algorithm>

namespace assay {

const ReadySvid* SvidStore::Find(std::string_view id) const {
  const auto at = svids_.find(id);
  return at == svids_.end() ? nullptr : &at->second.svid;
}

void SvidStore::Index(const std::string& id, const Held& held) {
  if (held.svid.rotate != absl::InfiniteFuture()) {
    by_rotation_.emplace(held.svid.rotate, id);
  }
  by_expiry_.emplace(held.svid.expires, id);
  by_use_.emplace(held.used, id);
}

void SvidStore::Unindex(const std::string& id, const Held& held) {
  by_rotation_.erase({held.svid.rotate, id});
  by_expiry_.erase({held.svid.expires, id});
  by_use_.erase({held.used, id});
}

void SvidStore::Put(std::string_view id, ReadySvid svid, absl::Duration now) {
  auto at = svids_.find(id);
  if (at == svids_.end()) {
    at = svids_.emplace(std::string(id), Held{ReadySvid(), now}).first;
  } else {
    Unindex(at->first, at->second);
  }
  at->second.svid = std::move(svid);
  Index(at->first, at->second);
  expired_.erase(at->first);
}

bool SvidStore::Remove(std::string_view id) {
  if (const auto at = expired_.find(id); at != expired_.end()) {
    expired_.erase(at);
  }
  const auto at = svids_.find(id);
  if (at == svids_.end()) {
    return false;
  }
  Unindex(at->first, at->second);
  svids_.erase(at);
  return true;
}

void SvidStore::Clear() {
  svids_.clear();
  by_rotation_.clear();
  by_expiry_.clear();
  by_use_.clear();
  expired_.clear();
}

void SvidStore::Use(std::string_view id, absl::Duration now) {
  if (const auto at = svids_.find(id); at != svids_.end()) {
    by_use_.erase({at->second.used, at->first});
    at->second.used = now;
    by_use_.emplace(now, at->first);
  }
}

std::vector<std::string> SvidStore::Ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, held] : svids_) {
    ids.push_back(id);
  }
  return ids;
}

std::optional<absl::Time> SvidStore::EarliestExpiry() const {
  return by_expiry_.empty() ? std::nullopt : std::optional(by_expiry_.begin()->first);
}

std::optional<absl::Time> SvidStore::NextDeadline() const {
  if (svids_.empty()) {
    return std::nullopt;
  }
  const absl::Time expiry = by_expiry_.begin()->first;
  return by_rotation_.empty() ? expiry : std::min(expiry, by_rotation_.begin()->first);
}

std::vector<std::pair<std::string, absl::Time>> SvidStore::TakeDue(absl::Time now) {
  std::vector<std::pair<std::string, absl::Time>> due;
  while (!by_rotation_.empty() && by_rotation_.begin()->first <= now) {
    ReadySvid& svid = svids_.find(by_rotation_.begin()->second)->second.svid;
    due.emplace_back(by_rotation_.begin()->second, svid.expires);
    by_rotation_.erase(by_rotation_.begin());
    svid.rotate = absl::InfiniteFuture();
  }
  return due;
}

std::vector<std::string> SvidStore::TakeExpired(absl::Time now) {
  std::vector<std::string> expired;
  while (!by_expiry_.empty() && by_expiry_.begin()->first < now) {
    expired.push_back(by_expiry_.begin()->second);
    Remove(expired.back());
  }
  expired_.insert(expired.begin(), expired.end());
  return expired;
}

std::vector<std::string> SvidStore::Evict(size_t most, absl::Duration since) {
  std::vector<std::string> evicted;
  while (svids_.size() > most && by_use_.begin()->first <= since) {
    evicted.push_back(by_use_.begin()->second);
    Remove(evicted.back());
  }
  return evicted;
}

std::vector<std::string> SvidStore::IssuedBy(std::string_view authority_key_id) const {
  std::vector<std::string> ids;
  for (const auto& [id, held] : svids_) {
    if (held.svid.authority_key_id == authority_key_id) {
      ids.push_back(id);
    }
  }
  return ids;
}

}  // namespace assay
