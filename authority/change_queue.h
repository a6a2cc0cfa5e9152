// SPDX-License-Identifier: GPL-3.0-or-later
// The one way in which the authority's state changes: a change is planned on the loop against the
// memory, written on the storage thread in one transaction, and taken over into memory on the loop
// when it is on disk. One change at a time, in order, so that what a plan saw still holds when it
// is taken over. Owned by the loop's thread.
#pragma once

#include <deque>
#include <functional>

#include "authority/store.h"
#include "authority/work_queue.h"
#include "base/event_loop.h"
#include "base/status.h"

namespace assay {

class ChangeQueue final {
 public:
  // Runs on the storage thread, inside a transaction.
  using Write = std::function<absl::Status(Store&)>;
  struct Change {
    // Decides, on the loop, what to write; a failure is the change's outcome. A null Write has
    // nothing to write.
    std::function<absl::StatusOr<Write>()> plan;
    // Gets the outcome, on the loop: when it is OK the write is on disk, and memory may follow.
    std::function<void(const absl::Status&)> done;
  };

  // All must outlive the queue, and the work queue must not outlive the store.
  ChangeQueue(EventLoop& loop, WorkQueue& storage, Store& store)
      : loop_(loop), storage_(storage), store_(store) {}

  void Add(Change change);

 private:
  void Next();

  EventLoop& loop_;
  WorkQueue& storage_;
  Store& store_;
  bool busy_ = false;
  std::deque<Change> waiting_;
};

}  // namespace assay
