// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/waiting_room.h"

namespace assay {

absl::Status WaitingRoom::Enter(const std::string& caller, size_t bytes) {
  const auto found = callers_.find(caller);
  const Count own = found == callers_.end() ? Count() : found->second;
  if (own.requests >= limits_.requests_of_one || own.bytes + bytes > limits_.bytes_of_one ||
      all_.requests >= limits_.requests || all_.bytes + bytes > limits_.bytes) {
    return ResourceExhausted("too many requests wait already");
  }
  callers_.insert_or_assign(caller, Count{own.requests + 1, own.bytes + bytes});
  all_ = {all_.requests + 1, all_.bytes + bytes};
  return absl::OkStatus();
}

void WaitingRoom::Leave(const std::string& caller, size_t bytes) {
  const auto found = callers_.find(caller);
  Count& own = found->second;
  own = {own.requests - 1, own.bytes - bytes};
  all_ = {all_.requests - 1, all_.bytes - bytes};
  if (own.requests == 0) {
    callers_.erase(found);
  }
}

}  // namespace assay
