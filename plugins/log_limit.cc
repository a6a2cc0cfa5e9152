// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/log_limit.h"

#include <algorithm>
#include <utility>

namespace assay {

LogLimit::LogLimit(EventLoop& loop, const Clock& clock, std::function<void(uint64_t)> tell)
    : loop_(loop), clock_(clock), tell_(std::move(tell)), filled_(clock.SinceBoot()) {}

LogLimit::~LogLimit() { loop_.Cancel(timer_); }

bool LogLimit::Admit(size_t bytes) {
  if (dropped_ == 0) {
    const absl::Duration now = clock_.SinceBoot();
    const double added = kPerSecond * absl::ToDoubleSeconds(now - std::exchange(filled_, now));
    lines_ = std::min<double>(kBurst, lines_ + added);
    const double cost = 1 + static_cast<double>(bytes / 1024);
    if (lines_ >= cost) {
      lines_ -= cost;
      return true;
    }
    timer_ = loop_.After(kPause, [this] { Tell(); });
  }
  ++dropped_;
  return false;
}

void LogLimit::Tell() {
  loop_.Cancel(std::exchange(timer_, 0));
  if (dropped_ > 0) {
    tell_(std::exchange(dropped_, 0));
  }
}

}  // namespace assay
