// SPDX-License-Identifier: GPL-3.0-or-later
// A selector is one fact that attestation proved of a node or a process, such as unix:uid:1000: a
// type without colons, and a value.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assay {

struct Selector {
  std::string type;
  std::string value;

  // "type:value", cut at the first colon; neither part may be empty.
  static absl::StatusOr<Selector> Parse(std::string_view text);
  std::string ToString() const { return type + ":" + value; }
  auto operator<=>(const Selector&) const = default;
};

// Sorted, without duplicates.
std::vector<Selector> Normalized(std::vector<Selector> selectors);
// Whether every one of needed is in have; both normalized.
bool IsSubset(const std::vector<Selector>& needed, const std::vector<Selector>& have);

}  // namespace assay
