// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/turns.h"

#include <algorithm>
#include <utility>

namespace assay {

void Turns::Add(uid_t user, TurnTaker& taker) {
  if (Waits(taker)) {
    return;
  }
  taker.number_ = ++last_number_;
  taker.user_ = user;
  takers_[taker.number_] = &taker;
  queue_.Push(user, taker.number_);
  RoundLater();
}

Turns::Turn Turns::Take(uid_t user, TurnTaker& taker, size_t cost) {
  if (Waits(taker)) {
    return Turn::kLater;
  }
  if (left_ > 0 && queue_.empty()) {
    Charge(cost);
    RoundLater();
    return Turn::kNow;
  }
  if (queue_.CountOf(user) >= options_.most_of_user) {
    return Turn::kNever;
  }
  Add(user, taker);
  return Turn::kLater;
}

void Turns::Forget(TurnTaker& taker) {
  if (Waits(taker)) {
    queue_.Remove(taker.user_, taker.number_);
    takers_.erase(std::exchange(taker.number_, 0));
  }
}

void Turns::RoundLater() {
  if (timer_ == 0) {
    timer_ = loop_.After(absl::ZeroDuration(), [this] { OnRound(); });
  }
}

void Turns::OnRound() {
  timer_ = 0;
  const auto whole = static_cast<int64_t>(options_.cost_per_round);
  left_ = std::min<int64_t>(left_, 0) + whole;
  while (left_ > 0 && !queue_.empty()) {
    const auto found = takers_.find(*queue_.Front());
    queue_.Pop();
    TurnTaker& taker = *found->second;
    takers_.erase(found);
    taker.number_ = 0;
    Charge(taker.OnTurn());
  }
  // Also when nobody waits: until then the round has less than a whole one.
  if (left_ < whole || !queue_.empty()) {
    RoundLater();
  }
}

}  // namespace assay
