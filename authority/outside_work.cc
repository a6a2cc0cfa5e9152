// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/outside_work.h"

namespace assay {
namespace {

constexpr size_t kThreads = 8;
constexpr int kMost = 64;
constexpr int kMostOfCaller = 2;
constexpr int kMostOfMachine = 1;

int CountOf(const std::map<std::string, int>& counts, const std::string& name) {
  const auto found = counts.find(name);
  return found == counts.end() ? 0 : found->second;
}

void TakeOne(std::map<std::string, int>& counts, const std::string& name) {
  if (const auto found = counts.find(name); --found->second == 0) {
    counts.erase(found);
  }
}

}  // namespace

OutsideWork::OutsideWork(EventLoop& loop)
    : loop_(loop), queue_(kThreads, WorkQueue::AtEnd::kDrop) {}

absl::Status OutsideWork::Enter(const Parties& parties) {
  if (running_ >= kMost || CountOf(of_caller_, parties.caller) >= kMostOfCaller) {
    return ResourceExhausted("too many nodes attest at this time");
  }
  if (CountOf(of_machine_, parties.machine) >= kMostOfMachine) {
    return ResourceExhausted("{} is being asked already", Quoted(parties.machine));
  }
  ++running_;
  ++of_caller_[parties.caller];
  ++of_machine_[parties.machine];
  return absl::OkStatus();
}

void OutsideWork::Leave(const Parties& parties) {
  --running_;
  TakeOne(of_caller_, parties.caller);
  TakeOne(of_machine_, parties.machine);
}

}  // namespace assay
