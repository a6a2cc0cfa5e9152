// SPDX-License-Identifier: GPL-3.0-or-later
// Which JWT-SVID is meant: that of a registration entry for an audience. In what order an audience
// is asked for makes no other one of it.
#pragma once

#include <algorithm>
#include <compare>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace assay {

struct JwtSvidKey {
  static constexpr size_t kMaxAudiences = 64;
  static constexpr size_t kMaxAudienceBytes = 4 << 10;  // Of all together.

  std::string entry_id;
  std::vector<std::string> audience;  // Sorted, each once.

  auto operator<=>(const JwtSvidKey&) const = default;
};

// An audience as keys have it: InvalidArgument when there is none, an empty one, or too much.
inline absl::StatusOr<std::vector<std::string>> NormalizedAudience(
    std::vector<std::string> audience) {
  if (audience.empty() || std::find(audience.begin(), audience.end(), "") != audience.end()) {
    return InvalidArgument("audience must be specified");
  }
  size_t bytes = 0;
  for (const std::string& value : audience) {
    bytes += value.size();
  }
  if (audience.size() > JwtSvidKey::kMaxAudiences || bytes > JwtSvidKey::kMaxAudienceBytes) {
    return InvalidArgument("audience has {} values of {} bytes, at most {} of {} are allowed",
                           audience.size(), bytes, JwtSvidKey::kMaxAudiences,
                           JwtSvidKey::kMaxAudienceBytes);
  }
  std::sort(audience.begin(), audience.end());
  audience.erase(std::unique(audience.begin(), audience.end()), audience.end());
  return audience;
}

}  // namespace assay
