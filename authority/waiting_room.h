// SPDX-License-Identifier: GPL-3.0-or-later
// Counts the requests that wait, for a rate limit or their turn, so that they take bounded memory:
// for each caller and in all. Owned by the loop's thread.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

#include "base/status.h"

namespace assay {

class WaitingRoom final {
 public:
  struct Limits {
    size_t requests_of_one = 1000;
    size_t bytes_of_one = 32 << 20;
    size_t requests = 10000;
    size_t bytes = 128 << 20;
  };
  WaitingRoom() = default;
  explicit WaitingRoom(const Limits& limits) : limits_(limits) {}

  // Counts a request of this many bytes in; ResourceExhausted, and not counted, when it is one too
  // many.
  absl::Status Enter(const std::string& caller, size_t bytes);
  // Counts out one that was counted in.
  void Leave(const std::string& caller, size_t bytes);

 private:
  struct Count {
    size_t requests = 0, bytes = 0;
  };
  const Limits limits_ = {};
  Count all_;
  std::unordered_map<std::string, Count> callers_;
};

}  // namespace assay
