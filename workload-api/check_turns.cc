// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/check_turns.h"

#include <algorithm>
#include <optional>

namespace assay {

CheckTurns::Turn CheckTurns::Take(uid_t uid, CheckWaiter& waiter, size_t cost) {
  if (waiter.number_ != 0) {
    return Turn::kLater;
  }
  if (round_timer_ == 0) {
    round_timer_ = loop_.After(absl::ZeroDuration(), [this] { StartRound(); });
  }
  if (left_ > 0 && queue_.empty()) {
    left_ -= static_cast<int64_t>(cost);
    return Turn::kNow;
  }
  if (queue_.CountOf(uid) >= kMostOfUser) {
    return Turn::kNever;
  }
  waiter.number_ = ++last_number_;
  waiter.uid_ = uid;
  waiter.cost_ = static_cast<int64_t>(cost);
  queue_.Push(uid, waiter.number_);
  waiters_[waiter.number_] = &waiter;
  return Turn::kLater;
}

void CheckTurns::Forget(CheckWaiter& waiter) {
  if (waiter.number_ != 0) {
    queue_.Remove(waiter.uid_, waiter.number_);
    waiters_.erase(waiter.number_);
    waiter.number_ = 0;
  }
}

void CheckTurns::StartRound() {
  round_timer_ = 0;
  constexpr auto kWhole = static_cast<int64_t>(kPerRound);
  left_ = std::min<int64_t>(left_, 0) + kWhole;
  while (left_ > 0 && !queue_.empty()) {
    const uint64_t number = *queue_.Front();
    CheckWaiter& waiter = *waiters_.at(number);
    queue_.Pop();
    waiters_.erase(number);
    waiter.number_ = 0;
    left_ -= waiter.cost_;
    waiter.OnTurn();
  }
  if (left_ < kWhole && round_timer_ == 0) {
    round_timer_ = loop_.After(absl::ZeroDuration(), [this] { StartRound(); });
  }
}

}  // namespace assay
