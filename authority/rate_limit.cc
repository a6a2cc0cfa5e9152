// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/rate_limit.h"

#include <arpa/inet.h>

#include <algorithm>

namespace assay {
namespace {

constexpr absl::Duration kSweepEvery = absl::Minutes(1);

}  // namespace

absl::StatusOr<absl::Duration> RateLimit::Take(const std::string& caller, int cost,
                                               absl::Duration patience) {
  if (cost > burst_) {
    return ResourceExhausted("rate ({}) exceeds burst size ({})", cost, static_cast<int>(burst_));
  }
  const absl::Duration now = clock_.SinceBoot();
  if (now - swept_at_ >= kSweepEvery) {
    DropFull(now);
  }
  Bucket& bucket =
      buckets_.try_emplace(caller, Bucket{.tokens = burst_, .filled_at = now}).first->second;
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

void RateLimit::GiveBack(const std::string& caller, int cost) {
  // A bucket that is gone was full.
  if (const auto found = buckets_.find(caller); found != buckets_.end()) {
    Refill(found->second, clock_.SinceBoot());
    found->second.tokens = std::min(found->second.tokens + cost, burst_);
  }
}

void RateLimit::Refill(Bucket& bucket, absl::Duration now) const {
  bucket.tokens += per_second_ * absl::ToDoubleSeconds(now - bucket.filled_at);
  bucket.tokens = std::min(bucket.tokens, burst_);
  bucket.filled_at = now;
}

// A full bucket is the same as none, so what is remembered stays as small as what happens.
void RateLimit::DropFull(absl::Duration now) {
  swept_at_ = now;
  std::erase_if(buckets_, [&](const auto& item) {
    Bucket bucket = item.second;
    Refill(bucket, now);
    return bucket.tokens >= burst_;
  });
}

std::string LimitedHost(std::string_view address) {
  std::string host(address.substr(0, address.rfind(':')));
  if (!host.starts_with('[') || !host.ends_with(']')) {
    return host;
  }
  in6_addr parsed{};
  if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &parsed) != 1) {
    return host;
  }
  char text[INET6_ADDRSTRLEN] = {};
  if (IN6_IS_ADDR_V4MAPPED(&parsed)) {
    inet_ntop(AF_INET, &parsed.s6_addr[12], text, sizeof(text));
    return text;
  }
  std::fill(parsed.s6_addr + 8, parsed.s6_addr + 16, 0);
  inet_ntop(AF_INET6, &parsed, text, sizeof(text));
  return fmt::format("{}/64", text);
}

}  // namespace assay
