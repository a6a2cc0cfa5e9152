// SPDX-License-Identifier: GPL-3.0-or-later
// Who holds how many of a limited number of places, and who makes way when all are taken: not
// whoever came last, but of those that hold most. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace assay {

class FairPlaces final {
 public:
  // Numbers are one owner's each, and grow as they come.
  void Add(std::string_view owner, uint64_t number);
  // One that is not there is ignored.
  void Remove(std::string_view owner, uint64_t number);
  size_t size() const { return size_; }

  // The youngest of those that hold more than this one does; nothing: it is one of those that hold
  // most, and has to do without.
  std::optional<uint64_t> YoungestOfLarger(std::string_view owner) const;
  // The oldest of those that hold most; nothing: there is none at all.
  std::optional<uint64_t> OldestOfLargest() const;

 private:
  using Numbers = std::set<uint64_t>;
  // Of owners that hold as many: of each the first and the last.
  struct Equals {
    Numbers oldest, youngest;
  };

  void Count(const Numbers& numbers);
  void Uncount(const Numbers& numbers);

  std::map<std::string, Numbers, std::less<>> owners_;  // Those that hold any.
  std::map<size_t, Equals> by_count_;
  size_t size_ = 0;
};

}  // namespace assay
