// SPDX-License-Identifier: GPL-3.0-or-later
// How many lines a plugin may write into this agent's log: a bucket of kBurst lines that is filled
// with kPerSecond of them. Once it is empty, lines are dropped for kPause, and then their number is
// told. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/event_loop.h"

namespace assay {

class LogLimit final {
 public:
  static constexpr int kBurst = 1000;
  static constexpr int kPerSecond = 100;
  static constexpr absl::Duration kPause = absl::Seconds(1);

  // `tell` gets how many lines were dropped. The loop and the clock must outlive it.
  LogLimit(EventLoop& loop, const Clock& clock, std::function<void(uint64_t dropped)> tell);
  ~LogLimit();
  LogLimit(const LogLimit&) = delete;
  LogLimit& operator=(const LogLimit&) = delete;

  // Whether a line of so many bytes may be logged; else it counts as dropped. A long one counts as
  // one for each KiB.
  bool Admit(size_t bytes);
  // Tells at once what was dropped, if anything was: no more lines will come.
  void Tell();

 private:
  EventLoop& loop_;
  const Clock& clock_;
  const std::function<void(uint64_t dropped)> tell_;
  double lines_ = kBurst;  // In the bucket,
  absl::Duration filled_;  // at this time.
  uint64_t dropped_ = 0;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay
