// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/rate_limit.h"

#include <algorithm>
#include <charconv>

namespace assay {
namespace {

constexpr absl::Duration kSweepEvery = absl::Minutes(1);

}  // namespace

absl::StatusOr<absl::Duration> RateLimit::Take(const std::string& address, int cost,
                                               absl::Duration patience) {
  if (cost > per_second_) {
    return ResourceExhausted("rate ({}) exceeds burst size ({})", cost,
                             static_cast<int>(per_second_));
  }
  const absl::Duration now = clock_.SinceBoot();
  if (now - swept_at_ >= kSweepEvery) {
    DropFull(now);
  }
  Bucket& bucket =
      buckets_.try_emplace(address, Bucket{.tokens = per_second_, .filled_at = now}).first->second;
  Refill(bucket, now);
  const double missing = cost - bucket.tokens;
  const absl::Duration wait =
      missing > 0 ? absl::Seconds(missing / per_second_) : absl::ZeroDuration();
  if (wait > patience) {
    return ResourceExhausted("rate: Wait(n={}) would exceed context deadline", cost);
  }
  bucket.tokens -= cost;
  return wait;
}

void RateLimit::Refill(Bucket& bucket, absl::Duration now) const {
  bucket.tokens += per_second_ * absl::ToDoubleSeconds(now - bucket.filled_at);
  bucket.tokens = std::min(bucket.tokens, per_second_);
  bucket.filled_at = now;
}

// A full bucket is the same as none, so what is remembered stays as small as what happens.
void RateLimit::DropFull(absl::Duration now) {
  swept_at_ = now;
  std::erase_if(buckets_, [&](const auto& item) {
    Bucket bucket = item.second;
    Refill(bucket, now);
    return bucket.tokens >= per_second_;
  });
}

std::string HostOf(std::string_view address) {
  const size_t colon = address.rfind(':');
  return std::string(address.substr(0, colon));
}

absl::Duration ParseGrpcTimeout(std::string_view text) {
  constexpr size_t kMostDigits = 8;
  int64_t number = 0;
  if (text.size() < 2 || text.size() > kMostDigits + 1) {
    return absl::InfiniteDuration();
  }
  const char* const last = text.data() + text.size() - 1;
  if (const auto read = std::from_chars(text.data(), last, number);
      read.ec != std::errc() || read.ptr != last || number < 0) {
    return absl::InfiniteDuration();
  }
  switch (*last) {
    case 'H':
      return absl::Hours(number);
    case 'M':
      return absl::Minutes(number);
    case 'S':
      return absl::Seconds(number);
    case 'm':
      return absl::Milliseconds(number);
    case 'u':
      return absl::Microseconds(number);
    case 'n':
      return absl::Nanoseconds(number);
    default:
      return absl::InfiniteDuration();
  }
}

}  // namespace assay
