// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/fair_places.h"

namespace assay {

void FairPlaces::Add(std::string_view owner, uint64_t number) {
  auto at = owners_.find(owner);
  if (at == owners_.end()) {
    at = owners_.try_emplace(std::string(owner)).first;
  }
  Uncount(at->second);
  size_ += at->second.insert(number).second ? 1 : 0;
  Count(at->second);
}

void FairPlaces::Remove(std::string_view owner, uint64_t number) {
  const auto at = owners_.find(owner);
  if (at == owners_.end()) {
    return;
  }
  Uncount(at->second);
  size_ -= at->second.erase(number);
  if (at->second.empty()) {
    owners_.erase(at);
  } else {
    Count(at->second);
  }
}

void FairPlaces::Count(const Numbers& numbers) {
  Equals& equals = by_count_[numbers.size()];
  equals.oldest.insert(*numbers.begin());
  equals.youngest.insert(*numbers.rbegin());
}

void FairPlaces::Uncount(const Numbers& numbers) {
  const auto at = by_count_.find(numbers.size());
  if (at == by_count_.end()) {
    return;  // A new owner.
  }
  at->second.oldest.erase(*numbers.begin());
  at->second.youngest.erase(*numbers.rbegin());
  if (at->second.oldest.empty()) {
    by_count_.erase(at);
  }
}

std::optional<uint64_t> FairPlaces::YoungestOfLarger(std::string_view owner) const {
  const auto own = owners_.find(owner);
  if (by_count_.empty() ||
      (own != owners_.end() && own->second.size() >= by_count_.rbegin()->first)) {
    return std::nullopt;
  }
  return *by_count_.rbegin()->second.youngest.rbegin();
}

std::optional<uint64_t> FairPlaces::OldestOfLargest() const {
  return by_count_.empty() ? std::nullopt
                           : std::optional(*by_count_.rbegin()->second.oldest.begin());
}

}  // namespace assay
