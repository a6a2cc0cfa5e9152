// SPDX-License-Identifier: GPL-3.0-or-later
// A few threads for work that may block, with a bounded queue. No owner of jobs can occupy more
// than some of them, and a thread that is free takes the oldest job of those whose owners occupy
// the fewest. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace assay {

class WorkerThreads final {
 public:
  // Threads are started when they are first needed.
  WorkerThreads(size_t max_threads, size_t max_queued, size_t max_of_owner = SIZE_MAX)
      : max_threads_(max_threads), max_queued_(max_queued), max_of_owner_(max_of_owner) {}
  // Waits for the jobs that run; forgets those that wait.
  ~WorkerThreads();
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  // Runs the job on some thread, soon. False when too many wait already.
  bool Run(uint64_t owner, std::function<void()> job);

 private:
  struct Job {
    uint64_t owner;
    std::function<void()> run;
  };

  void Loop();
  bool TakeNext(Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_threads_;
  const size_t max_queued_;
  const size_t max_of_owner_;  // Jobs that run at a time.
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, size_t> running_ ABSL_GUARDED_BY(mutex_);  // Jobs by owner.
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
