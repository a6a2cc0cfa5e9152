// SPDX-License-Identifier: GPL-3.0-or-later
// A token bucket for each caller's address: as many tokens a second as it holds at most. A call
// whose tokens are not there yet waits for them, it is not refused. Owned by the loop's thread.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/status.h"

namespace assay {

class RateLimit final {
 public:
  // The clock must outlive it.
  RateLimit(const Clock& clock, double per_second) : clock_(clock), per_second_(per_second) {}

  // Takes cost tokens of this address's bucket and says how long to wait before going on. When that
  // would take longer than patience, or the bucket can never hold so many, nothing is taken and the
  // answer is ResourceExhausted in the reference's words.
  absl::StatusOr<absl::Duration> Take(const std::string& address, int cost,
                                      absl::Duration patience);
  size_t buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;  // Below zero: promised to calls that wait.
    absl::Duration filled_at;
  };
  void Refill(Bucket& bucket, absl::Duration now) const;
  void DropFull(absl::Duration now);

  const Clock& clock_;
  const double per_second_;
  absl::Duration swept_at_ = absl::ZeroDuration();
  std::unordered_map<std::string, Bucket> buckets_;
};

// The host part of "1.2.3.4:567" or "[::1]:567".
std::string HostOf(std::string_view address);
// The value of a grpc-timeout header ("300m" is 300 ms); infinite when it is none.
absl::Duration ParseGrpcTimeout(std::string_view text);

}  // namespace assay
