// SPDX-License-Identifier: GPL-3.0-or-later
// One sync with the upstream: the entries, the own trust bundle and the federated ones, each apart,
// so that one that fails does not hold up the others. It blocks; run it on the thread that syncs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/identity_entries.h"
#include "base/status.h"
#include "spiffe/trust_bundle.h"
#include "upstream/upstream.h"

namespace assay {

struct SyncOutcome {
  absl::Status entries;  // When it is OK, the pass holds what is new.
  absl::StatusOr<TrustBundle> bundle = Unavailable("not asked for");
  // By the name of the trust domain; one that was not asked for is missing.
  std::map<std::string, absl::StatusOr<TrustBundle>> federated;
};

// known_domains are the foreign trust domains that entries name already.
SyncOutcome SyncWith(Upstream& upstream, SyncPass& pass,
                     const std::vector<std::string>& known_domains);

}  // namespace assay
