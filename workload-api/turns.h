// SPDX-License-Identifier: GPL-3.0-or-later
// Work that callers' messages make and that is put off, so that nobody's holds up another's: it is
// done in turns, one piece of each user's, and only so much in a round of the loop. What costs more
// than a round is paid for by the rounds after it. Owned by the event loop's thread.
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
  // Does it, and says what it cost besides the 1 of each turn. It may ask for another turn, or be
  // forgotten, in the call.
  virtual size_t OnTurn() = 0;

 private:
  friend class Turns;
  uint64_t number_ = 0;  // Of its turn; 0: it waits for none.
  uid_t user_ = 0;       // Whose turn it is then.
};

class Turns final {
 public:
  // What is begun in one round, in units of whoever takes turns; the last piece may exceed it, and
  // the rounds after it pay for that.
  static constexpr size_t kCostPerRound = 1024;

  struct Options {
    size_t cost_per_round = kCostPerRound;
    size_t most_of_user = SIZE_MAX;  // That wait; of those that Take asks for.
  };
  enum class Turn { kNow, kLater, kNever };

  // The loop must outlive the turns.
  explicit Turns(EventLoop& loop) : Turns(loop, Options()) {}
  Turns(EventLoop& loop, const Options& options)
      : loop_(loop), options_(options), left_(static_cast<int64_t>(options.cost_per_round)) {}
  ~Turns() { loop_.Cancel(timer_); }
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // A turn for one of the user's, from the next round on; one turn for all that it asks for until
  // then. It must be forgotten before it goes.
  void Add(uid_t user, TurnTaker& taker);
  // The same, but now is said where nobody waits and this round has room: then it has been charged
  // this cost, as OnTurn says it, and is to be done by the taker. Never: too many of the user's
  // wait.
  Turn Take(uid_t user, TurnTaker& taker, size_t cost);
  void Forget(TurnTaker& taker);
  static bool Waits(const TurnTaker& taker) { return taker.number_ != 0; }

 private:
  void Charge(size_t cost) { left_ -= 1 + static_cast<int64_t>(cost); }
  void RoundLater();
  void OnRound();

  EventLoop& loop_;
  const Options options_;
  TurnQueue<uid_t> queue_;
  std::unordered_map<uint64_t, TurnTaker*> takers_;  // Those in the queue.
  int64_t left_;  // Of this round; less than 0: of those to come.
  uint64_t last_number_ = 0;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay
