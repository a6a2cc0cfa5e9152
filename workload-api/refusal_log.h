// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps the log readable when callers are refused again and again: each user gets so many lines a
// minute, and of the rest the number. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <cstddef>
#include <unordered_map>

#include "base/event_loop.h"

namespace assay {

class RefusalLog final {
 public:
  static constexpr size_t kLines = 10;
  static constexpr absl::Duration kWindow = absl::Minutes(1);

  // The loop must outlive the log.
  explicit RefusalLog(EventLoop& loop) : loop_(loop) {}
  ~RefusalLog() { loop_.Cancel(timer_); }
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;

  // Whether a line about a refusal of this user's may be written; false counts it instead.
  bool MayWrite(uid_t user);

 private:
  void EndWindow();

  EventLoop& loop_;
  std::unordered_map<uid_t, size_t> refusals_;  // In this window, written or not.
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay
