// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps the log readable when callers are refused again and again: each of them, whatever tells
// them apart, gets so many lines a minute, and of the rest the number. Owned by the event loop's
// thread.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <string_view>
#include <unordered_map>

#include "base/event_loop.h"
#include "base/log.h"

namespace assay {

// Who: a number or a text.
template <typename Who>
class RefusalLog final {
 public:
  static constexpr size_t kLines = 10;
  static constexpr absl::Duration kWindow = absl::Minutes(1);
  // What more callers there are in a window write nothing: each could be one in another guise.
  static constexpr size_t kMaxCallers = 1024;

  // What a caller is called in the log: "uid". The loop and the text must outlive the log.
  RefusalLog(EventLoop& loop, std::string_view called) : loop_(loop), called_(called) {}
  ~RefusalLog() { loop_.Cancel(timer_); }
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;

  // Whether a line about a refusal of this caller's may be written; false counts it instead.
  bool MayWrite(const Who& who) {
    if (timer_ == 0) {
      timer_ = loop_.After(kWindow, [this] { EndWindow(); });
    }
    if (refusals_.size() >= kMaxCallers && !refusals_.contains(who)) {
      return false;
    }
    return ++refusals_[who] <= kLines;
  }

 private:
  void EndWindow() {
    timer_ = 0;
    for (const auto& [who, refusals] : refusals_) {
      if (refusals > kLines) {
        log::Warn("Refused calls were not logged",
                  {{called_, who}, {"suppressed", refusals - kLines}});
      }
    }
    refusals_.clear();
  }

  EventLoop& loop_;
  const std::string_view called_;
  std::unordered_map<Who, size_t> refusals_;  // In this window, written or not.
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay
