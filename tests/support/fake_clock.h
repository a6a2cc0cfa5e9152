// SPDX-License-Identifier: GPL-3.0-or-later
// A clock that stands still until a test moves it.
#pragma once

#include "base/clock.h"

namespace assay {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time now = absl::FromUnixSeconds(1'800'000'000)) : now_(now) {}
  absl::Time Now() const override { return now_; }
  absl::Duration SinceBoot() const override { return boot_; }
  // Lets this much time pass on both clocks.
  void Advance(absl::Duration duration) {
    now_ += duration;
    boot_ += duration;
  }
  // Steps the wall clock alone, as an administrator or NTP does.
  void Step(absl::Duration duration) { now_ += duration; }

 private:
  absl::Time now_;
  absl::Duration boot_ = absl::Hours(1);
};

}  // namespace assay
