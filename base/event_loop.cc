// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace assay {
namespace {

constexpr int kEventsPerRound = 256;

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create(const Clock& clock) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !wake.valid()) {
    return ErrnoStatus(errno, "creating an event loop");
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoStatus(errno, "watching the event loop's own wake-up");
  }
  return std::unique_ptr<EventLoop>(new EventLoop(clock, std::move(epoll), std::move(wake)));
}

EventLoop::EventLoop(const Clock& clock, UniqueFd epoll, UniqueFd wake)
    : clock_(clock), epoll_(std::move(epoll)), wake_(std::move(wake)) {}

EventLoop::~EventLoop() = default;

absl::Status EventLoop::Watch(int fd, uint32_t events, FdCallback callback) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (watched_.contains(fd)) {
    return InvalidArgument("descriptor {} is watched already", fd);
  }
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus(errno, "watching a descriptor");
  }
  watched_[fd] = std::make_shared<Watched>(Watched{std::move(callback), next_generation_++});
  return absl::OkStatus();
}

absl::Status EventLoop::Modify(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    return ErrnoStatus(errno, "changing what to wait for");
  }
  return absl::OkStatus();
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

EventLoop::TimerId EventLoop::After(absl::Duration delay, Callback callback) {
  const TimerId id = next_timer_++;
  const absl::Duration deadline = clock_.SinceBoot() + std::max(delay, absl::ZeroDuration());
  timers_.emplace(std::make_pair(deadline, id), std::move(callback));
  deadlines_[id] = deadline;
  return id;
}

void EventLoop::Cancel(TimerId id) {
  const auto found = deadlines_.find(id);
  if (found != deadlines_.end()) {
    timers_.erase({found->second, id});
    deadlines_.erase(found);
  }
}

void EventLoop::Post(Callback callback) {
  {
    MutexLock lock(mutex_);
    posted_.push_back(std::move(callback));
  }
  eventfd_write(wake_.get(), 1);
}

void EventLoop::Run() {
  while (!stopped_) {
    RunOnce(absl::InfiniteDuration());
  }
}

void EventLoop::Stop() {
  stopped_ = true;
  eventfd_write(wake_.get(), 1);
}

void EventLoop::RunOnce(absl::Duration max_wait) {
  std::array<epoll_event, kEventsPerRound> events;
  const absl::Duration wait = std::min(max_wait, UntilNextTimer());
  const int timeout =
      wait == absl::InfiniteDuration()
          ? -1
          : static_cast<int>(std::min<int64_t>(
                absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))), 1 << 30));
  const int ready = epoll_wait(epoll_.get(), events.data(), kEventsPerRound, timeout);
  // A callback may close a descriptor and a later one reuse its number in the same round: what was
  // watched after this point has a later generation and its stale event is dropped.
  const uint64_t round = next_generation_;
  for (int i = 0; i < ready; ++i) {
    if (events[i].data.fd == wake_.get()) {
      eventfd_t ignored = 0;
      eventfd_read(wake_.get(), &ignored);
      continue;
    }
    const auto found = watched_.find(events[i].data.fd);
    if (found != watched_.end() && found->second->generation < round) {
      const std::shared_ptr<Watched> watched = found->second;
      watched->callback(events[i].events);
    }
  }
  RunTimers();
  RunPosted();
}

void EventLoop::RunPosted() {
  std::vector<Callback> posted;
  {
    MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  for (Callback& callback : posted) {
    callback();
  }
}

void EventLoop::RunTimers() {
  const absl::Duration now = clock_.SinceBoot();
  // A timer set by a timer waits for the next round, so a round always ends.
  const TimerId last = next_timer_;
  for (auto it = timers_.begin(); it != timers_.end() && it->first.first <= now;) {
    if (it->first.second >= last) {
      ++it;
      continue;
    }
    Callback callback = std::move(it->second);
    deadlines_.erase(it->first.second);
    timers_.erase(it);
    callback();
    it = timers_.begin();
  }
}

absl::Duration EventLoop::UntilNextTimer() const {
  if (timers_.empty()) {
    return absl::InfiniteDuration();
  }
  return std::max(timers_.begin()->first.first - clock_.SinceBoot(), absl::ZeroDuration());
}

}  // namespace assay
