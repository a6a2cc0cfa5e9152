// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_timing.h"

#include <algorithm>
#include <cstring>

#include "crypto/digest.h"

namespace assay {
namespace {

constexpr double kJitter = 0.1;
constexpr double kBackoffFactor = 1.5;
constexpr absl::Duration kLeastBeyondTarget = absl::Hours(12);
constexpr absl::Duration kTargetSpread = absl::Minutes(10);
constexpr absl::Duration kMostSkew = absl::Minutes(1);
constexpr absl::Duration kLeastUse = absl::Seconds(30);

}  // namespace

Random SystemRandom() {
  return [] {
    uint64_t bits = 0;
    std::memcpy(&bits, crypto::RandomBytes(sizeof(bits)).data(), sizeof(bits));
    return static_cast<double>(bits >> 11) * 0x1.0p-53;
  };
}

absl::Duration Jittered(absl::Duration duration, const Random& random) {
  return duration * (1 - kJitter + 2 * kJitter * random());
}

absl::Duration Backoff::Next(const Random& random) {
  const absl::Duration wait = Jittered(next_, random);
  next_ = std::min(next_ * kBackoffFactor, longest_);
  return wait;
}

bool CanHold(const AvailabilityTarget& target, const Validity& validity) {
  return target.has_value() &&
         validity.not_after - validity.not_before - *target > kLeastBeyondTarget;
}

absl::Time DrawRotation(const Validity& validity, const AvailabilityTarget& target,
                        const Random& random) {
  const absl::Duration half = (validity.not_after - validity.not_before) / 2;
  const absl::Time at_half = validity.not_after - Jittered(half, random);
  if (!CanHold(target, validity)) {
    return at_half;
  }
  return std::min(at_half, validity.not_after - *target - kTargetSpread * random());
}

absl::Status CheckFresh(const Validity& validity, absl::Time now) {
  if (validity.not_before > now + kMostSkew) {
    return Unavailable("the svid is valid only from {}: compare the clocks",
                       absl::FormatTime(validity.not_before, absl::UTCTimeZone()));
  }
  const absl::Duration life = validity.not_after - validity.not_before;
  if (validity.not_after - now < std::min(kLeastUse, life / 4)) {
    return Unavailable("the svid is valid only until {}: compare the clocks",
                       absl::FormatTime(validity.not_after, absl::UTCTimeZone()));
  }
  return absl::OkStatus();
}

absl::Time NotTooSoon(absl::Time rotation, const Validity& validity, absl::Time now) {
  const absl::Duration left = validity.not_after - now;
  return std::max(rotation, now + std::min(std::max(kLeastUse, left / 10), left / 2));
}

}  // namespace assay
