// SPDX-License-Identifier: GPL-3.0-or-later
// Where time comes from. Everything that asks for time is given a Clock, so that tests move it.
#pragma once

#include <absl/time/time.h>

namespace assay {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time: what certificates and tokens are dated by. It may be stepped.
  virtual absl::Time Now() const = 0;
  // Time since boot, suspension included (CLOCK_BOOTTIME): what deadlines are measured by. It never
  // goes back.
  virtual absl::Duration SinceBoot() const = 0;
};

// The kernel's clocks. Thread-safe.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration SinceBoot() const override;
};

}  // namespace assay
