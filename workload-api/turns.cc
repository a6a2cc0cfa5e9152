// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/turns.h"

#include <utility>

namespace assay {

void Turns::Add(uid_t user, TurnTaker& taker) {
  if (Waits(taker)) {
    return;
  }
  taker.number_ = ++last_number_;
  takers_[taker.number_] = &taker;
  queue_.Push(user, taker.number_);
  if (timer_ == 0) {
    timer_ = loop_.After(absl::ZeroDuration(), [this] { OnRound(); });
  }
}

void Turns::Forget(uid_t user, TurnTaker& taker) {
  if (Waits(taker)) {
    queue_.Remove(user, taker.number_);
    takers_.erase(std::exchange(taker.number_, 0));
  }
}

void Turns::OnRound() {
  timer_ = 0;
  size_t cost = 0;
  while (!queue_.empty() && cost < kCostPerRound) {
    const auto found = takers_.find(*queue_.Front());
    queue_.Pop();
    TurnTaker& taker = *found->second;
    takers_.erase(found);
    taker.number_ = 0;
    cost += 1 + taker.OnTurn();
  }
  if (!queue_.empty() && timer_ == 0) {
    timer_ = loop_.After(absl::ZeroDuration(), [this] { OnRound(); });
  }
}

}  // namespace assay
