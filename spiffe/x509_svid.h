// SPDX-License-Identifier: GPL-3.0-or-later
// An X509-SVID: a certificate chain whose leaf carries exactly one SPIFFE ID (X509-SVID §2 to §5).
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "spiffe/spiffe_id.h"
#include "spiffe/trust_bundle.h"

namespace assay {

struct X509Svid {
  SpiffeId id;
  std::vector<crypto::Certificate> chain;     // Leaf first.
  std::shared_ptr<const crypto::Signer> key;  // Of the leaf.

  const crypto::Certificate& leaf() const { return chain.front(); }
};

// The SPIFFE ID of a leaf: one URI SAN, a path, not a CA, digitalSignature where key usage is
// present, neither keyCertSign nor cRLSign (X509-SVID §5.2).
absl::StatusOr<SpiffeId> ParseLeafId(const crypto::Certificate& leaf);

// The verified SPIFFE ID of a chain, leaf first: the leaf's rules, then a path to the X.509
// authorities of the bundle, which must be that of the ID's own trust domain.
absl::StatusOr<SpiffeId> VerifyX509Svid(const std::vector<crypto::Certificate>& chain,
                                        const TrustBundle& bundle, absl::Time now);

// What must hold of an SVID before it is relayed to a workload: the leaf's rules and, besides, key
// usage present, critical and with digitalSignature, EKU with both serverAuth and clientAuth where
// present, and the ID and public key that were asked for (X509-SVID §4.3, §4.4).
absl::Status CheckIssuedSvid(const std::vector<crypto::Certificate>& chain, const SpiffeId& id,
                             const crypto::PublicKey& key);

}  // namespace assay
