// SPDX-License-Identifier: GPL-3.0-or-later
// A long-lived thread that does, in order, what must not hold up an event loop: writing to disk,
// signing. With more threads they take the work in order and do it side by side. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/mutex.h"

namespace assay {

class WorkQueue final {
 public:
  // What becomes at the end of the work that has not begun.
  enum class AtEnd { kDo, kDrop };

  explicit WorkQueue(size_t threads = 1, AtEnd at_end = AtEnd::kDo);
  // Does or drops what is queued, then ends the threads once they have done what they do.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Does work on a thread of the queue.
  void Post(std::function<void()> work);

  // How much work has not begun.
  size_t waiting();

  // Does work on a thread of the queue, then hands its result to done on the loop, which must
  // outlive the queue.
  template <typename Work, typename Done>
  void Run(EventLoop& loop, Work work, Done done) {
    Post([&loop, work = std::move(work), done = std::move(done)]() mutable {
      auto result = std::make_shared<decltype(work())>(work());
      loop.Post([done = std::move(done), result]() mutable { done(std::move(*result)); });
    });
  }

 private:
  void Serve();

  const AtEnd at_end_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace assay
