// SPDX-License-Identifier: GPL-3.0-or-later
// Keeping trust bundles in step with the upstream, each apart from the others: when to ask for
// which, and the asking itself. A bundle's sequence number is asked for first, and the bundle only
// when that is another one; but every five minutes anyway, for an operator who sets a bundle may
// leave its number as it was.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/identity_timing.h"
#include "base/status.h"
#include "spiffe/trust_bundle.h"
#include "upstream/upstream.h"

namespace assay {

// The bundle of a trust domain, own or foreign; nothing when it is still the known one, of that
// sequence number. Blocks.
absl::StatusOr<std::optional<TrustBundle>> PollBundle(Upstream& upstream, const TrustDomain& own,
                                                      const TrustDomain& trust_domain,
                                                      std::optional<uint64_t> known);

// When each bundle is asked for next: at the interval, later and later while it fails. Times are
// since boot. Owned by the identity thread.
class BundleSchedule final {
 public:
  BundleSchedule(std::string own, absl::Duration interval);

  // From now on; one that fails keeps to its waits.
  void SetInterval(absl::Duration interval, absl::Duration now);
  // The foreign trust domains of interest; those that are new are due at once.
  void Want(const std::vector<std::string>& foreign, absl::Duration now);
  // The one to ask for first, the own before all others; nothing when none is due.
  std::optional<std::string> Due(absl::Duration now) const;
  absl::Duration NextTime() const;

  // Whether it had failed before.
  bool Succeed(const std::string& name, absl::Duration now, const Random& random);
  // The whole bundle has come.
  void NoteWhole(const std::string& name, absl::Duration now);
  // Whether the whole bundle is to be fetched now, whatever its number: by the next time it would
  // be five minutes old.
  bool WantsWhole(const std::string& name, absl::Duration now) const;
  // Whether this is the first failure in a row. When nobody answers at all the others wait, too.
  bool Fail(const std::string& name, bool is_away, absl::Duration now, const Random& random);
  // The upstream is another one: all are due, and what failed before says nothing.
  void Restart(absl::Duration now);
  // Something needs it anew: it is due, unless it fails.
  void Hasten(const std::string& name, absl::Duration now);

 private:
  struct Poll {
    Backoff backoff;
    absl::Duration at;
    absl::Duration fetched_at = -absl::InfiniteDuration();  // The whole of it.
    bool fails = false;
  };

  void Add(const std::string& name, absl::Duration at);

  const std::string own_;
  absl::Duration interval_;
  std::map<std::string, Poll> polls_;
  absl::Duration paused_until_;
};

}  // namespace assay
