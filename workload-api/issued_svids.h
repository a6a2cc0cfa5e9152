// SPDX-License-Identifier: GPL-3.0-or-later
// The SVIDs that one kind of answer is made of: whether all are signed, since when some are waited
// for, and when callers must not go on with what they may have been told. Not thread-safe.
#pragma once

#include <absl/time/time.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

class IssuedSvids final {
 public:
  struct Svid {
    std::string_view spiffe_id;
    int64_t expires_at = 0;  // Unix seconds; 0: none that is valid.
  };

  // All that are granted now, in Unix seconds.
  void Update(const std::vector<Svid>& granted, int64_t now);

  bool complete() const { return missing_ == 0; }
  // Counts when one that an answer had was no longer granted, or expired.
  uint64_t withdrawals() const { return withdrawals_; }
  // When it may count next, unless there is an update before.
  int64_t next_expiry() const { return next_expiry_; }

  // What is missing is asked for, at clock's SinceBoot().
  void Want(absl::Duration now) {
    if (!complete()) {
      wanted_since_ = std::min(wanted_since_, now);
    }
  }
  // Infinite when nothing is waited for.
  absl::Duration wanted_since() const { return wanted_since_; }

 private:
  size_t missing_ = 0;
  std::map<std::string, int64_t, std::less<>> given_;  // Expiry of what answers had, by SPIFFE ID.
  uint64_t withdrawals_ = 0;
  int64_t next_expiry_ = INT64_MAX;
  absl::Duration wanted_since_ = absl::InfiniteDuration();
};

}  // namespace assay
