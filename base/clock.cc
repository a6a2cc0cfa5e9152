// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/clock.h"

#include <absl/time/clock.h>

#include <ctime>

namespace assay {

absl::Time SystemClock::Now() const { return absl::Now(); }

absl::Duration SystemClock::SinceBoot() const {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace assay
