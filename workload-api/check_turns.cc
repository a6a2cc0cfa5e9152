// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/check_turns.h"

#include <optional>

namespace assay {

CheckTurns::Turn CheckTurns::Take(uid_t uid, CheckWaiter& waiter) {
  if (waiter.number_ != 0) {
    return Turn::kLater;
  }
  if (round_timer_ == 0) {
    round_timer_ = loop_.After(absl::ZeroDuration(), [this] { StartRound(); });
  }
  if (left_ > 0 && queue_.empty()) {
    --left_;
    return Turn::kNow;
  }
  if (queue_.CountOf(uid) >= kMostOfUser) {
    return Turn::kNever;
  }
  waiter.number_ = ++last_number_;
  waiter.uid_ = uid;
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
  left_ = kPerRound;
  while (left_ > 0 && !queue_.empty()) {
    --left_;
    const uint64_t number = *queue_.Front();
    CheckWaiter& waiter = *waiters_.at(number);
    queue_.Pop();
    waiters_.erase(number);
    waiter.number_ = 0;
    waiter.OnTurn();
  }
  if (left_ < kPerRound && round_timer_ == 0) {
    round_timer_ = loop_.After(absl::ZeroDuration(), [this] { StartRound(); });
  }
}

}  // namespace assay
