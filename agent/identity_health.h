// SPDX-License-Identifier: GPL-3.0-or-later
// How the agent is, and how that is told: whether it lives, whether it does its work, and why not.
// An upstream that is away is no reason as long as what is served is valid; it is told beside.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace assay {

// How long serve may leave a question unanswered before it counts as stuck.
constexpr absl::Duration kServeStuckAfter = absl::Minutes(1);

// Whether what the upstream said, or the operating system, is told of an error: it may name hosts
// and files, and so is for this machine alone.
enum class Words { kAll, kOurs };

// What the identity role knows at one moment. An error is OK where the last try went well.
struct IdentityHealth {
  enum class Phase { kAttesting, kFirstSync, kServing, kStopped };
  Phase phase = Phase::kAttesting;
  absl::Time now = {};

  std::optional<absl::Time> agent_expires = {};  // Nothing: the node is not attested.
  absl::Status attestation_error = {}, renewal_error = {};

  std::optional<absl::Time> last_sync = {};
  absl::Status sync_error = {};

  size_t entries = 0, bundles = 0;
  uint64_t entries_added = 0, entries_updated = 0, entries_removed = 0;  // Since the role's start.
  size_t svids = 0;                                                      // Valid ones.
  std::optional<absl::Time> earliest_expiry;                             // Of these.
  size_t expired_svids = 0;   // Neither replaced, nor refused one by one.
  size_t refused_svids = 0;   // The upstream did not sign for their entries.
  bool callers_wait = false;  // For SVIDs that are not signed yet.
  absl::Status signing_error = {};
  size_t jwt_svids = 0;  // Valid ones.

  // How long the upstream can be away before something that is served, or the agent's own SVID,
  // expires; zero when something has. Nothing while nothing is served.
  std::optional<absl::Duration> OutageBudget() const;
  // Why the agent does not do its work; none when it does.
  std::vector<std::string> Reasons(Words words = Words::kAll) const;
};

// Since when serve has left a question unanswered; nothing: it has answered them all.
using ServeSilence = std::optional<absl::Duration>;
// The answers to health checks over HTTP: {"agent": {...}}, as spire-agent's has that shape.
struct HealthAnswer {
  bool good = false;
  std::string json = {};
};
// Only what a restart may mend is a reason not to live.
HealthAnswer LiveAnswer(const ServeSilence& silence);
HealthAnswer ReadyAnswer(const IdentityHealth& health, const ServeSilence& silence,
                         Words words = Words::kAll);

}  // namespace assay
