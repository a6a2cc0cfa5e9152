// SPDX-License-Identifier: GPL-3.0-or-later
// How often a stream may ask: so many requests at once, and so many a second in the long run. A
// client that answers what it is sent, and changes its mind now and then, never meets it.
#pragma once

#include <absl/time/time.h>

#include <algorithm>

namespace assay {

class RequestPace final {
 public:
  static constexpr double kAtOnce = 256, kPerSecond = 4;

  // One more, at clock's SinceBoot(), which does not go back. False: it is too much.
  bool MayAsk(absl::Duration now) {
    left_ = std::min(kAtOnce, left_ + absl::ToDoubleSeconds(now - last_) * kPerSecond);
    last_ = now;
    if (left_ < 1) {
      return false;
    }
    left_ -= 1;
    return true;
  }

 private:
  double left_ = kAtOnce;
  absl::Duration last_ = absl::ZeroDuration();
};

}  // namespace assay
