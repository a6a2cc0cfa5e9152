// SPDX-License-Identifier: GPL-3.0-or-later
// The reading and checking of callers' tokens, which takes a while each: a few in a round of the
// event loop, by turns of the callers' users, so that other callers wait neither for who floods nor
// behind him. What costs more than a round is paid for by the rounds after it.
// Owned by the event loop's thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

#include "base/event_loop.h"
#include "base/turn_queue.h"

namespace assay {

class CheckWaiter {
 public:
  virtual ~CheckWaiter() = default;
  // It may read and check one token now. It may wait again, or be forgotten, in the call.
  virtual void OnTurn() = 0;

 private:
  friend class CheckTurns;
  uint64_t number_ = 0;  // Of its turn; 0: it waits for none.
  uid_t uid_ = 0;
  int64_t cost_ = 1;
};

class CheckTurns final {
 public:
  static constexpr size_t kPerRound = 8;  // Of a cost of 1.
  // That wait, of one user; more are refused.
  static constexpr size_t kMostOfUser = 4096;

  enum class Turn { kNow, kLater, kNever };

  // The loop must outlive it, and it those that wait.
  explicit CheckTurns(EventLoop& loop) : loop_(loop) {}
  ~CheckTurns() { loop_.Cancel(round_timer_); }
  CheckTurns(const CheckTurns&) = delete;
  CheckTurns& operator=(const CheckTurns&) = delete;

  // Whether it may check now; later it is told once, however often it asks until then. The cost is
  // that of one signature and of as many more as would take so long.
  Turn Take(uid_t uid, CheckWaiter& waiter, size_t cost = 1);
  void Forget(CheckWaiter& waiter);

 private:
  void StartRound();

  EventLoop& loop_;
  TurnQueue<uid_t> queue_;
  std::map<uint64_t, CheckWaiter*> waiters_;
  int64_t left_ = kPerRound;  // Of this round; less than 0: of those to come.
  uint64_t last_number_ = 0;
  EventLoop::TimerId round_timer_ = 0;
};

}  // namespace assay
