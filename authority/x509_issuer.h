// SPDX-License-Identifier: GPL-3.0-or-later
// Signs X509-SVIDs (X509-SVID §3 to §5). What is in them comes from the caller alone, never from a
// certification request. Thread-safe.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "authority/signing_authority.h"
#include "base/status.h"
#include "crypto/issue.h"
#include "spiffe/spiffe_id.h"

namespace assay {

struct X509SvidRequest {
  SpiffeId id;
  crypto::PublicKey key;
  absl::Duration ttl;                       // Cut where the authority ends.
  std::vector<std::string> dns_names = {};  // The first is the common name too.
  // C=US, O=SPIRE unless it is given.
  crypto::DistinguishedName subject = {{"C", "US"}, {"O", "SPIRE"}};
};

// The leaf alone: the authorities are self-signed, and roots are no part of a chain.
absl::StatusOr<crypto::Certificate> IssueX509Svid(const SigningAuthority& authority,
                                                  const X509SvidRequest& request, absl::Time now);

}  // namespace assay
