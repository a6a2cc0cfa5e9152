// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/selector.h"

#include <algorithm>
#include <utility>

namespace assay {

absl::StatusOr<Selector> Selector::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos || colon == 0 || colon + 1 == text.size()) {
    return InvalidArgument("selector {}: wanted type:value", Quoted(text));
  }
  return Selector{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::vector<Selector> Normalized(std::vector<Selector> selectors) {
  std::sort(selectors.begin(), selectors.end());
  selectors.erase(std::unique(selectors.begin(), selectors.end()), selectors.end());
  return selectors;
}

bool IsSubset(const std::vector<Selector>& needed, const std::vector<Selector>& have) {
  return std::includes(have.begin(), have.end(), needed.begin(), needed.end());
}

}  // namespace assay
