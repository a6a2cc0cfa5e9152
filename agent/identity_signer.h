// SPDX-License-Identifier: GPL-3.0-or-later
// Makes a batch of X509-SVIDs: a new key and a request for each entry, one call of the upstream. It
// blocks; run it on the thread that signs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/identity_svids.h"
#include "agent/identity_timing.h"
#include "base/clock.h"
#include "base/status.h"
#include "crypto/key.h"
#include "spiffe/trust_bundle.h"
#include "upstream/upstream.h"

namespace assay {

struct SigningOrder {
  std::string entry_id;
  std::string spiffe_id;
  int64_t revision_number = 0;
  int64_t created_at = 0;  // Of the entry, that an id used again is told apart.
};

struct SignedSvid {
  SigningOrder order;
  absl::Status status;
  bool is_untrusted = false;  // The bundle does not verify it, and may be too old to.
  ReadySvid svid;             // Its rotation is not drawn yet.
  Validity validity;
};

struct SignedBatch {
  absl::Status status;              // Of the whole call.
  std::vector<SignedSvid> results;  // One for each order, when the call went well.
};

// What judges the SVIDs that come: the bundle of their own trust domain, at that moment.
struct SigningTrust {
  TrustBundle bundle;
  const Clock& clock;
};
SignedBatch SignBatch(Upstream& upstream, crypto::KeyType key_type, const SigningTrust& trust,
                      std::vector<SigningOrder> orders);

}  // namespace assay
