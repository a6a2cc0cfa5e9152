// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_trust.h"

#include <algorithm>

#include "spiffe/x509_svid.h"

namespace assay {

absl::Status CheckTrusted(const std::vector<crypto::Certificate>& chain, const TrustBundle& bundle,
                          absl::Time now) {
  if (chain.empty()) {
    return Internal("svid has no certificate");
  }
  const auto id = VerifyX509Svid(chain, bundle, std::max(now, chain.front().not_before()));
  if (!id.ok()) {
    return Unavailable("svid does not verify by the trust bundle of {}: {}",
                       bundle.trust_domain.name(), Message(id.status()));
  }
  return absl::OkStatus();
}

}  // namespace assay
