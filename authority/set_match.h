// SPDX-License-Identifier: GPL-3.0-or-later
// The sets in the filters of list and count methods: selectors, and trust domains federated with.
#pragma once

#include <algorithm>
#include <vector>

namespace assay {

// How a set is compared with a filter's; the numbers are the API's.
enum class SetMatch { kExact = 0, kSubset = 1, kSuperset = 2, kAny = 3 };

// Whether the set passes; both are sorted. An unknown kind of match passes nothing.
template <typename T>
bool Passes(SetMatch match, const std::vector<T>& filter, const std::vector<T>& set) {
  switch (match) {
    case SetMatch::kExact:
      return set == filter;
    case SetMatch::kSubset:
      return std::includes(filter.begin(), filter.end(), set.begin(), set.end());
    case SetMatch::kSuperset:
      return std::includes(set.begin(), set.end(), filter.begin(), filter.end());
    case SetMatch::kAny:
      return std::any_of(set.begin(), set.end(), [&](const T& item) {
        return std::binary_search(filter.begin(), filter.end(), item);
      });
  }
  return false;
}

}  // namespace assay
