// SPDX-License-Identifier: GPL-3.0-or-later
// When things happen again: the backoff of calls that fail, and the moment at which an SVID is
// replaced. Both spread over the fleet by a random part that is drawn once, not at every look.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <optional>

#include "base/status.h"

namespace assay {

// Uniform in [0, 1).
using Random = std::function<double()>;

// From the kernel's generator.
Random SystemRandom();

// The duration itself, longer or shorter by at most a tenth.
absl::Duration Jittered(absl::Duration duration, const Random& random);

// Waits that grow by half each time up to a longest one, each jittered.
class Backoff final {
 public:
  Backoff(absl::Duration first, absl::Duration longest)
      : first_(first), longest_(longest), next_(first) {}

  absl::Duration Next(const Random& random);
  void Reset() { next_ = first_; }

 private:
  const absl::Duration first_;
  const absl::Duration longest_;
  absl::Duration next_;
};

struct Validity {
  absl::Time not_before;
  absl::Time not_after;
};

// How long an SVID must last without the upstream, as the operator wants it. Obeyed where the
// lifetime is longer than the target by more than 12 hours.
using AvailabilityTarget = std::optional<absl::Duration>;
bool CanHold(const AvailabilityTarget& target, const Validity& validity);

// When to replace an SVID: at half of its life, sooner or later by at most a twentieth of it; with
// a target that can be held, when no more than the target and up to ten minutes is left, if that is
// sooner.
absl::Time DrawRotation(const Validity& validity, const AvailabilityTarget& target,
                        const Random& random);

// What an upstream with wrong intentions, or a clock that is wrong on either side, must not turn
// into calls without end. Unavailable for an SVID that has just come and is not of use: valid only
// in more than a minute from now, or for less than 30 s more (a quarter of its life, if that is
// shorter).
absl::Status CheckFresh(const Validity& validity, absl::Time now);
// The rotation of an SVID that has just come, moved off to at least 30 s and a tenth of what is
// left of its life from now, but never beyond half of what is left.
absl::Time NotTooSoon(absl::Time rotation, const Validity& validity, absl::Time now);

}  // namespace assay
