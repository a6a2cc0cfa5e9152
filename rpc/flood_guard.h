// SPDX-License-Identifier: GPL-3.0-or-later
// Counts, for one connection, the frames that make work without asking for any (pings, settings,
// resets, ...) against those that do. Time comes as a count of seconds in which something happened.
#pragma once

#include <algorithm>
#include <cstdint>

namespace assay::rpc {

class FloodGuard {
 public:
  // A frame that is pure overhead. False: the connection has sent too many.
  bool ChargeOverhead(uint64_t second) {
    Refill(second);
    return --overhead_ >= 0;
  }
  // A stream that was ended by a reset, whoever sent it.
  bool ChargeReset(uint64_t second) {
    Refill(second);
    return --resets_ >= 0;
  }
  // A request, or data on either way: what pings and window updates legitimately go with.
  void Earn() { overhead_ = std::min(overhead_ + kEarned, kOverheadBurst); }

 private:
  static constexpr int32_t kOverheadBurst = 2000, kOverheadPerSecond = 100, kEarned = 8;
  static constexpr int32_t kResetBurst = 500, kResetsPerSecond = 50;

  void Refill(uint64_t second) {
    const auto passed = static_cast<int32_t>(std::min<uint64_t>(second - second_, 100));
    second_ = second;
    overhead_ = std::min(overhead_ + passed * kOverheadPerSecond, kOverheadBurst);
    resets_ = std::min(resets_ + passed * kResetsPerSecond, kResetBurst);
  }

  uint64_t second_ = 0;
  int32_t overhead_ = kOverheadBurst;
  int32_t resets_ = kResetBurst;
};

}  // namespace assay::rpc
