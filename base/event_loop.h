// SPDX-License-Identifier: GPL-3.0-or-later
// One thread's epoll loop: descriptors, timers, and work posted from other threads. Every role runs
// one, and what a role owns is touched by that thread alone. Thread line: only Post() and Stop()
// may be called from other threads, and Stop() from a signal handler.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

class EventLoop final {
 public:
  using Callback = std::function<void()>;
  // Gets epoll's event bits (EPOLLIN, EPOLLHUP, ...).
  using FdCallback = std::function<void(uint32_t events)>;
  // Names a timer until it fires or is cancelled; 0 names none.
  using TimerId = uint64_t;

  // The clock must outlive the loop; timers follow its SinceBoot().
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create(const Clock& clock);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls back on the loop's thread whenever one of events is pending. The descriptor stays the
  // caller's, who must Unwatch it before closing it. Watching twice is InvalidArgument.
  absl::Status Watch(int fd, uint32_t events, FdCallback callback);
  // Changes what to wait for; the descriptor must be watched.
  absl::Status Modify(int fd, uint32_t events);
  // No callback of fd runs after this returns; unknown descriptors are ignored.
  void Unwatch(int fd);

  // Runs callback once, delay from now; a delay of zero or less runs it in the next round.
  TimerId After(absl::Duration delay, Callback callback);
  // Forgets a timer; one that fired or is unknown is ignored.
  void Cancel(TimerId id);

  // Runs callback on the loop's thread, in the order of the posts. Any thread.
  void Post(Callback callback);

  // Runs until Stop().
  void Run();
  // One round: waits at most max_wait for something to do, and does it. Timers of a clock that
  // tests advance fire in the next round.
  void RunOnce(absl::Duration max_wait);
  void Stop();

 private:
  struct Watched {
    FdCallback callback;
    uint64_t generation;
  };

  EventLoop(const Clock& clock, UniqueFd epoll, UniqueFd wake);
  void RunPosted();
  void RunTimers();
  absl::Duration UntilNextTimer() const;

  const Clock& clock_;
  const UniqueFd epoll_;
  const UniqueFd wake_;
  std::atomic<bool> stopped_ = false;  // Lock-free, for signal handlers.
  uint64_t next_generation_ = 1;
  TimerId next_timer_ = 1;
  std::unordered_map<int, std::shared_ptr<Watched>> watched_;
  std::map<std::pair<absl::Duration, TimerId>, Callback> timers_;
  std::unordered_map<TimerId, absl::Duration> deadlines_;
  Mutex mutex_;
  std::vector<Callback> posted_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
