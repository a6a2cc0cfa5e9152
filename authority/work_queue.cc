// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/work_queue.h"

namespace assay {

WorkQueue::WorkQueue(size_t threads, AtEnd at_end) : at_end_(at_end) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Serve(); });
  }
}

WorkQueue::~WorkQueue() {
  std::deque<std::function<void()>> dropped;
  {
    MutexLock lock(mutex_);
    ended_ = true;
    if (at_end_ == AtEnd::kDrop) {
      queue_.swap(dropped);
    }
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void WorkQueue::Post(std::function<void()> work) {
  {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(work));
  }
  changed_.NotifyOne();
}

size_t WorkQueue::waiting() {
  MutexLock lock(mutex_);
  return queue_.size();
}

void WorkQueue::Serve() {
  while (true) {
    std::function<void()> work;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !ended_) {
        changed_.Wait(mutex_);
      }
      if (queue_.empty()) {
        return;
      }
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace assay
