// SPDX-License-Identifier: GPL-3.0-or-later
// Work that callers' messages make and that is put off, so that nobody's holds up another's: it is
// done in turns, one piece of each user's, and only so much in a round of the loop. Owned by the
// event loop's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/event_loop.h"
#include "base/turn_queue.h"

namespace assay {

// Who has something to do, one thing at a time.
class TurnTaker {
 public:
  virtual ~TurnTaker() = default;
  // Does it, and says what it cost: 1 for each name looked up, more or less. It may ask for another
  // turn.
  virtual size_t OnTurn() = 0;

 private:
  friend class Turns;
  uint64_t number_ = 0;  // Of its turn; 0: it waits for none.
};

class Turns final {
 public:
  // What may be done in one round, well below a millisecond's worth; the last piece may exceed it.
  static constexpr size_t kCostPerRound = 1024;

  // The loop must outlive the turns.
  explicit Turns(EventLoop& loop) : loop_(loop) {}
  ~Turns() { loop_.Cancel(timer_); }
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // A turn for one of the user's, from the next round on; one turn for all that it asks for until
  // then. It must be forgotten before it goes.
  void Add(uid_t user, TurnTaker& taker);
  void Forget(uid_t user, TurnTaker& taker);
  static bool Waits(const TurnTaker& taker) { return taker.number_ != 0; }

 private:
  void OnRound();

  EventLoop& loop_;
  TurnQueue<uid_t> queue_;
  std::unordered_map<uint64_t, TurnTaker*> takers_;  // Those in the queue.
  uint64_t last_number_ = 0;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay
