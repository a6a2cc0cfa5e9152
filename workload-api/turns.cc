// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/turns.h"

namespace assay {

void Turns::Add(uid_t user, TurnTaker& taker) {
  if (taker.waits_) {
    return;
  }
  const auto [found, is_new] = waiting_.try_emplace(user);
  if (is_new) {
    users_.push_back(user);
  }
  taker.place_ = found->second.insert(found->second.end(), &taker);
  taker.waits_ = true;
  if (timer_ == 0) {
    timer_ = loop_.After(absl::ZeroDuration(), [this] { OnRound(); });
  }
}

void Turns::Forget(uid_t user, TurnTaker& taker) {
  if (taker.waits_) {
    taker.waits_ = false;
    // The user's turn passes if it was the last.
    waiting_.at(user).erase(taker.place_);
  }
}

void Turns::OnRound() {
  timer_ = 0;
  size_t cost = 0;
  // What comes up meanwhile waits its turn, but a round ends.
  while (!users_.empty() && cost < kCostPerRound) {
    const uid_t user = users_.front();
    users_.pop_front();
    const auto found = waiting_.find(user);
    if (found->second.empty()) {
      waiting_.erase(found);
      continue;
    }
    TurnTaker& taker = *found->second.front();
    found->second.pop_front();
    taker.waits_ = false;
    users_.push_back(user);
    cost += 1 + taker.OnTurn();
  }
  if (!users_.empty() && timer_ == 0) {
    timer_ = loop_.After(absl::ZeroDuration(), [this] { OnRound(); });
  }
}

}  // namespace assay
