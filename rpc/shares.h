// SPDX-License-Identifier: GPL-3.0-or-later
// What each owner of connections - a user on a Unix socket, an address or a proven identity on TCP
// - takes of a server: its number of connections, and memory for requests and for answers that no
// other call shares. No owner gets so much that the others are left without. Not thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

#include "base/status.h"

namespace assay::rpc {

class Shares final {
 public:
  struct Owner {
    std::string name;            // As errors call it: "user 1000".
    size_t max_connections = 0;  // Fewer once they are scarce.
    size_t max_request_bytes = 0;
    bool privileged = false;  // May have as many connections as there are, and those kept back.
  };
  // One owner's; valid until the last connection has left.
  struct Share {
    Owner owner;
    size_t connections = 0;
    size_t request_bytes = 0;
    size_t answer_bytes = 0;
  };
  struct Totals {
    size_t connections = 0;
    size_t request_bytes = 0;
    size_t answer_bytes = 0;
    size_t answer_bytes_of_one = 0;
  };

  explicit Shares(const Totals& most) : most_(most) {}
  Shares(const Shares&) = delete;
  Shares& operator=(const Shares&) = delete;

  // One more connection of the owner's; ResourceExhausted when it may have no more.
  absl::StatusOr<Share*> Join(const Owner& owner);
  void Leave(Share& share);

  // Memory beyond what each connection has for itself; false when there is no more to be had.
  bool HoldRequest(Share& share, size_t bytes);
  void ReleaseRequest(Share& share, size_t bytes);
  // False when that is too much: it is not counted, and the connection must end.
  bool HoldAnswer(Share& share, size_t bytes);
  void ReleaseAnswer(Share& share, size_t bytes);

 private:
  size_t ConnectionsFor(const Owner& owner) const;

  const Totals most_;
  Totals used_;
  std::unordered_map<std::string, Share> shares_;  // By name.
};

}  // namespace assay::rpc
