// SPDX-License-Identifier: GPL-3.0-or-later
// A token bucket for each caller, filled by so many tokens a second. A call whose tokens are not
// there yet waits for them, it is not refused. Owned by the loop's thread.
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
  // A bucket holds as many tokens as a second brings, or burst. The clock must outlive it.
  RateLimit(const Clock& clock, double per_second) : RateLimit(clock, per_second, per_second) {}
  RateLimit(const Clock& clock, double per_second, double burst)
      : clock_(clock), per_second_(per_second), burst_(burst) {}

  // Takes cost tokens of this caller's bucket and says how long to wait before going on. When that
  // would take longer than patience, or the bucket can never hold so many, nothing is taken and the
  // answer is ResourceExhausted in the reference's words.
  absl::StatusOr<absl::Duration> Take(const std::string& caller, int cost, absl::Duration patience);
  // Gives back what was taken by a call that did not go on.
  void GiveBack(const std::string& caller, int cost);

 private:
  struct Bucket {
    double tokens = 0;  // Below zero: promised to calls that wait.
    absl::Duration filled_at;
  };
  void Refill(Bucket& bucket, absl::Duration now) const;
  void DropFull(absl::Duration now);

  const Clock& clock_;
  const double per_second_, burst_;
  absl::Duration swept_at_ = absl::ZeroDuration();
  std::unordered_map<std::string, Bucket> buckets_;
};

// Who "1.2.3.4:567" or "[2001:db8::1]:567" is to a limit: the host, or of IPv6 its /64, for one
// caller may have all addresses of that.
std::string LimitedHost(std::string_view address);

}  // namespace assay
