// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/worker_threads.h"

#include <algorithm>
#include <utility>

namespace assay {

WorkerThreads::~WorkerThreads() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    queue_.clear();
    threads.swap(threads_);
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

bool WorkerThreads::Run(uint64_t owner, std::function<void()> job) {
  MutexLock lock(mutex_);
  if (queue_.size() >= max_queued_) {
    return false;
  }
  queue_.push_back({owner, std::move(job)});
  if (idle_ < queue_.size() && threads_.size() < max_threads_) {
    threads_.emplace_back([this] { Loop(); });
  }
  changed_.NotifyOne();
  return true;
}

bool WorkerThreads::TakeNext(Job& job) {
  const auto running = [this](const Job& waiting) {
    const auto found = running_.find(waiting.owner);
    return found == running_.end() ? 0 : found->second;
  };
  const auto next =
      std::min_element(queue_.begin(), queue_.end(),
                       [&running](const Job& a, const Job& b) { return running(a) < running(b); });
  if (next == queue_.end() || running(*next) >= max_of_owner_) {
    return false;
  }
  job = std::move(*next);
  queue_.erase(next);
  ++running_[job.owner];
  return true;
}

void WorkerThreads::Loop() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    Job job;
    if (!TakeNext(job)) {
      ++idle_;
      changed_.Wait(mutex_);
      --idle_;
      continue;
    }
    mutex_.Unlock();
    job.run();
    // What the job holds may be large, or lock in its destructor.
    job.run = nullptr;
    mutex_.Lock();
    if (--running_[job.owner] == 0) {
      running_.erase(job.owner);
    }
    // A job that waited for its owner's others may run now.
    changed_.NotifyAll();
  }
}

}  // namespace assay
