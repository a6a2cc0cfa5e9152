// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/fair_places.h"

#include <algorithm>

namespace assay {

void FairPlaces::Add(std::string_view owner, uint64_t number) {
  auto at = owners_.find(owner);
  if (at == owners_.end()) {
    at = owners_.try_emplace(std::string(owner)).first;
  }
  const size_t before = at->second.size();
  if (at->second.insert(number).second) {
    ++size_;
    Count(at, before);
  }
}

void FairPlaces::Remove(std::string_view owner, uint64_t number) {
  const auto at = owners_.find(owner);
  if (at == owners_.end()) {
    return;
  }
  const size_t before = at->second.size();
  if (at->second.erase(number) > 0) {
    --size_;
    Count(at, before);
  }
}

void FairPlaces::Count(Owners::iterator at, size_t before) {
  if (before > 0) {
    const auto counted = by_count_.find(before);
    counted->second.erase(at->first);
    if (counted->second.empty()) {
      by_count_.erase(counted);
    }
  }
  if (at->second.empty()) {
    owners_.erase(at);
  } else {
    by_count_[at->second.size()].insert(at->first);
  }
}

std::optional<uint64_t> FairPlaces::YoungestOfLarger(std::string_view owner) const {
  const auto own = owners_.find(owner);
  if (by_count_.empty() ||
      (own != owners_.end() && own->second.size() >= by_count_.rbegin()->first)) {
    return std::nullopt;
  }
  uint64_t youngest = 0;
  for (std::string_view name : by_count_.rbegin()->second) {
    youngest = std::max(youngest, *owners_.find(name)->second.rbegin());
  }
  return youngest;
}

std::optional<uint64_t> FairPlaces::OldestOfLargest() const {
  if (by_count_.empty()) {
    return std::nullopt;
  }
  uint64_t oldest = UINT64_MAX;
  for (std::string_view name : by_count_.rbegin()->second) {
    oldest = std::min(oldest, *owners_.find(name)->second.begin());
  }
  return oldest;
}

}  // namespace assay
