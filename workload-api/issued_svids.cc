// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/issued_svids.h"

#include <utility>

namespace assay {

void IssuedSvids::Update(const std::vector<Svid>& granted, int64_t now) {
  missing_ = static_cast<size_t>(
      std::ranges::count_if(granted, [](const Svid& svid) { return svid.expires_at == 0; }));
  if (complete()) {
    wanted_since_ = absl::InfiniteDuration();
  }
  next_expiry_ = INT64_MAX;
  std::map<std::string, int64_t, std::less<>> given;
  for (const auto& [id, valid_until] : granted) {
    int64_t expires_at = valid_until;
    // What is incomplete may not have been sent: then callers still have what they had.
    if (const auto before = given_.find(id);
        before != given_.end() && before->second > now && !complete()) {
      expires_at = valid_until != 0 ? std::min(valid_until, before->second) : before->second;
    }
    if (expires_at > now) {
      given[std::string(id)] = expires_at;
      next_expiry_ = std::min(next_expiry_, expires_at);
    }
  }
  if (std::ranges::any_of(given_, [&](const auto& had) {
        return !given.contains(had.first) || had.second <= now;
      })) {
    ++withdrawals_;
  }
  given_ = std::move(given);
}

}  // namespace assay
