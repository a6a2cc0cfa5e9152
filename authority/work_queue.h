// SPDX-License-Identifier: GPL-3.0-or-later
// One long-lived thread that does, in order, what must not hold up an event loop: writing to disk,
// signing. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "base/event_loop.h"
#include "base/mutex.h"

namespace assay {

class WorkQueue final {
 public:
  WorkQueue();
  // Does what is queued, then ends the thread.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Does work on the queue's thread.
  void Post(std::function<void()> work);

  // How much work has not begun.
  size_t waiting();

  // Does work on the queue's thread, then hands its result to done on the loop, which must outlive
  // the queue.
  template <typename Work, typename Done>
  void Run(EventLoop& loop, Work work, Done done) {
    Post([&loop, work = std::move(work), done = std::move(done)]() mutable {
      auto result = std::make_shared<decltype(work())>(work());
      loop.Post([done = std::move(done), result]() mutable { done(std::move(*result)); });
    });
  }

 private:
  void Serve();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace assay
