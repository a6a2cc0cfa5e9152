// SPDX-License-Identifier: GPL-3.0-or-later
// How much the streams of each user, and of all, may keep of names that they were sent, so that
// nobody fills this process's memory with them. Owned by the event loop's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <unordered_map>

namespace assay {

class NameBudget final {
 public:
  static constexpr size_t kBytesPerUser = 16 << 20;
  static constexpr size_t kBytesOfAll = 64 << 20;

  // One stream of the user keeps `to` bytes instead of `from`. False when that is more than before
  // and too much; then it is `from` still.
  bool Change(uid_t user, size_t from, size_t to) {
    const auto at = kept_.try_emplace(user).first;
    const bool fits = to <= from || (at->second - from + to <= kBytesPerUser &&
                                     kept_by_all_ - from + to <= kBytesOfAll);
    if (fits) {
      at->second += to - from;
      kept_by_all_ += to - from;
    }
    if (at->second == 0) {
      kept_.erase(at);
    }
    return fits;
  }

 private:
  std::unordered_map<uid_t, size_t> kept_;
  size_t kept_by_all_ = 0;
};

}  // namespace assay
