// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/shares.h"

#include <algorithm>

namespace assay::rpc {
namespace {

// Of all connections, those that only privileged owners get.
constexpr size_t kKeptBackPart = 32;
// While so many connections are in use, or half of all, they are not scarce; nor before all but
// this part are, where there are fewer.
constexpr size_t kPlenty = 10000;
constexpr size_t kLastPart = 16;
// Of scarce ones an owner may have this part of what is left,
constexpr size_t kScarcePart = 4;
// or so many, if that is more.
constexpr size_t kFewConnections = 4;

}  // namespace

size_t Shares::ConnectionsFor(const Owner& owner) const {
  if (owner.privileged) {
    return most_.connections;
  }
  const size_t open_to_all = most_.connections - most_.connections / kKeptBackPart;
  if (used_.connections >= open_to_all) {
    return 0;
  }
  const size_t plenty = std::max(
      most_.connections / 2, std::min(kPlenty, most_.connections - most_.connections / kLastPart));
  if (used_.connections < plenty) {
    return owner.max_connections;
  }
  const size_t left = open_to_all - used_.connections;
  return std::min(owner.max_connections, std::max(left / kScarcePart, kFewConnections));
}

absl::StatusOr<Shares::Share*> Shares::Join(const Owner& owner) {
  if (used_.connections >= most_.connections) {
    return ResourceExhausted("{} connections are open, which is the limit", used_.connections);
  }
  const auto found = shares_.find(owner.name);
  const size_t has = found == shares_.end() ? 0 : found->second.connections;
  if (has >= ConnectionsFor(owner)) {
    return ResourceExhausted("{} has {} of the {} connections that are open, and may have no more",
                             owner.name, has, used_.connections);
  }
  ++used_.connections;
  Share& share = found == shares_.end() ? shares_[owner.name] : found->second;
  share.owner = owner;
  ++share.connections;
  return &share;
}

void Shares::Leave(Share& share) {
  --used_.connections;
  if (--share.connections == 0) {
    shares_.erase(shares_.find(share.owner.name));
  }
}

bool Shares::HoldRequest(Share& share, size_t bytes) {
  if (share.request_bytes + bytes > share.owner.max_request_bytes ||
      used_.request_bytes + bytes > most_.request_bytes) {
    return false;
  }
  share.request_bytes += bytes;
  used_.request_bytes += bytes;
  return true;
}

void Shares::ReleaseRequest(Share& share, size_t bytes) {
  share.request_bytes -= bytes;
  used_.request_bytes -= bytes;
}

bool Shares::HoldAnswer(Share& share, size_t bytes) {
  if (share.answer_bytes + bytes > most_.answer_bytes_of_one ||
      used_.answer_bytes + bytes > most_.answer_bytes) {
    return false;
  }
  share.answer_bytes += bytes;
  used_.answer_bytes += bytes;
  return true;
}

void Shares::ReleaseAnswer(Share& share, size_t bytes) {
  share.answer_bytes -= bytes;
  used_.answer_bytes -= bytes;
}

}  // namespace assay::rpc
