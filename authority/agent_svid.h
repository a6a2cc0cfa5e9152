// SPDX-License-Identifier: GPL-3.0-or-later
// Signs the SVIDs of agents.
#pragma once

#include <functional>
#include <string>

#include "authority/state.h"
#include "crypto/certificate.h"

namespace spire::api::types {
class X509SVID;
}

namespace assay {

// Signs for the public key of a request (its self-signature does not count), off the loop, and
// hands the leaf to done on the loop.
void SignAgentSvid(State& state, const SpiffeId& id, const std::string& csr,
                   std::function<void(const absl::StatusOr<crypto::Certificate>&)> done);

// The SVID as the API carries it.
void ToProto(const SpiffeId& id, const crypto::Certificate& leaf, spire::api::types::X509SVID* out);

}  // namespace assay
