// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps the log readable when callers are refused again and again: each user gets so many lines a
// minute, and of the rest the number. Of a caller's selectors those are shown that the operator
// wants to see. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "spiffe/selector.h"

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

  // Selectors that are one of these, or begin with one and a colon, may be shown: "unix:uid",
  // "k8s".
  void ShowSelectors(std::vector<std::string> prefixes) { prefixes_ = std::move(prefixes); }
  // "unix:gid:0,unix:uid:0": those of them that may be shown.
  std::string Shown(const std::vector<Selector>& selectors) const;

 private:
  void EndWindow();

  EventLoop& loop_;
  std::unordered_map<uid_t, size_t> refusals_;  // In this window, written or not.
  EventLoop::TimerId timer_ = 0;
  std::vector<std::string> prefixes_;
};

}  // namespace assay
