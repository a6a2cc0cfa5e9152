// SPDX-License-Identifier: GPL-3.0-or-later
// Remembers a connection's last closed streams, to tell frames that the caller must not send any
// more (RFC 9113 5.1) from those that crossed a reset of ours.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace assay::rpc {

class ClosedStreams {
 public:
  // by_caller: it had ended or reset its side, and knew so.
  void Add(int32_t stream, bool by_caller) {
    recent_[next_] = by_caller ? -stream : stream;
    next_ = (next_ + 1) % recent_.size();
  }
  bool ClosedByCaller(int32_t stream) const { return Has(-stream); }
  bool ClosedByServer(int32_t stream) const { return Has(stream); }

 private:
  bool Has(int32_t entry) const { return std::ranges::find(recent_, entry) != recent_.end(); }

  std::array<int32_t, 8> recent_ = {};
  uint32_t next_ = 0;
};

}  // namespace assay::rpc
