// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/outside_work.h"

namespace assay {
namespace {

constexpr size_t kThreads = 8;
constexpr int kMost = 64;
constexpr int kMostOfCaller = 2;

}  // namespace

OutsideWork::OutsideWork(EventLoop& loop)
    : loop_(loop), queue_(kThreads, WorkQueue::AtEnd::kDrop) {}

absl::Status OutsideWork::Enter(const Parties& parties) {
  const auto known = of_caller_.find(parties.caller);
  if (running_ >= kMost || (known != of_caller_.end() && known->second >= kMostOfCaller)) {
    return ResourceExhausted("too many nodes attest at this time");
  }
  // Of another caller's it knows nothing: one that asks in vain must not lock out the machine.
  if (!busy_.insert(parties).second) {
    return ResourceExhausted("{} is being asked already", Quoted(parties.machine));
  }
  ++running_;
  ++of_caller_[parties.caller];
  return absl::OkStatus();
}

void OutsideWork::Leave(const Parties& parties) {
  --running_;
  busy_.erase(parties);
  if (const auto found = of_caller_.find(parties.caller); --found->second == 0) {
    of_caller_.erase(found);
  }
}

}  // namespace assay
