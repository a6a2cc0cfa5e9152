// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/refusal_log.h"

#include <fmt/format.h>

#include <set>

#include "base/log.h"

namespace assay {
namespace {

// What more users there are in a window write nothing: each could be one caller's in another guise.
constexpr size_t kMaxUsers = 1024;

}  // namespace

bool RefusalLog::MayWrite(uid_t user) {
  if (timer_ == 0) {
    timer_ = loop_.After(kWindow, [this] { EndWindow(); });
  }
  if (refusals_.size() >= kMaxUsers && !refusals_.contains(user)) {
    return false;
  }
  return ++refusals_[user] <= kLines;
}

std::string RefusalLog::Shown(const std::vector<Selector>& selectors) const {
  std::set<std::string> shown;
  for (const Selector& selector : selectors) {
    const std::string text = selector.type + ":" + selector.value;
    for (const std::string& prefix : prefixes_) {
      if (text == prefix || text.starts_with(prefix + ":")) {
        shown.insert(text);
      }
    }
  }
  return fmt::format("{}", fmt::join(shown, ","));
}

void RefusalLog::EndWindow() {
  timer_ = 0;
  for (const auto& [user, refusals] : refusals_) {
    if (refusals > kLines) {
      log::Warn("Refused calls were not logged",
                {{"uid", user}, {"suppressed", refusals - kLines}});
    }
  }
  refusals_.clear();
}

}  // namespace assay
