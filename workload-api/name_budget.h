// SPDX-License-Identifier: GPL-3.0-or-later
// How much the streams of each user may keep of names that they were sent, so that no user fills
// this process's memory with them. Owned by the event loop's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <unordered_map>

namespace assay {

class NameBudget final {
 public:
  static constexpr size_t kBytesPerUser = 16 << 20;

  // One stream of the user keeps `to` bytes instead of `from`. False when that is more than before
  // and too much; then it is `from` still.
  bool Change(uid_t user, size_t from, size_t to) {
    size_t& kept = kept_[user];
    if (to > from && kept - from + to > kBytesPerUser) {
      return false;
    }
    kept = kept - from + to;
    if (kept == 0) {
      kept_.erase(user);
    }
    return true;
  }

 private:
  std::unordered_map<uid_t, size_t> kept_;
};

}  // namespace assay
