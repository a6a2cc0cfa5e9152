// SPDX-License-Identifier: GPL-3.0-or-later
// Work that waits for other machines, for seconds: on threads of its own, so that it holds up
// nothing else, and few at a time for one caller, one of them for each machine, so that nobody
// keeps the others from theirs. What has not begun when it dies is dropped. Owned by the loop's
// thread.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "authority/work_queue.h"
#include "base/event_loop.h"
#include "base/status.h"

namespace assay {

class OutsideWork final {
 public:
  // For whom the work is, and whom it asks: a host, or a port of it.
  struct Parties {
    std::string caller, machine;
    auto operator<=>(const Parties&) const = default;
  };

  // The loop must outlive it.
  explicit OutsideWork(EventLoop& loop);

  // Does work on a thread, then hands its result to done on the loop. ResourceExhausted when the
  // caller, for this machine or for all, or all callers together have too much that is not done.
  template <typename Work, typename Done>
  absl::Status Run(const Parties& parties, Work work, Done done) {
    RETURN_IF_ERROR(Enter(parties));
    queue_.Run(loop_, std::move(work),
               [this, parties, done = std::move(done)](auto result) mutable {
                 Leave(parties);
                 done(std::move(result));
               });
    return absl::OkStatus();
  }

 private:
  absl::Status Enter(const Parties& parties);
  void Leave(const Parties& parties);

  EventLoop& loop_;
  int running_ = 0;                       // Or waiting.
  std::map<std::string, int> of_caller_;  // Those that have any.
  std::set<Parties> busy_;
  WorkQueue queue_;
};

}  // namespace assay
