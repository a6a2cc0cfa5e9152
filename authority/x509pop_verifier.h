// SPDX-License-Identifier: GPL-3.0-or-later
// Verifies x509pop node attestation: a certificate of a PKI that the operator trusts, and its key
// by a signature of a nonce. As SPIRE Server does, any extended key usage will do, but a key usage
// must be there that allows signatures.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "authority/node_verifier.h"
#include "authority/node_verifier_options.h"
#include "base/status.h"
#include "spiffe/trust_domain.h"

namespace assay {

// Reads the CA certificates. The trust domain is that of x509pop:// SANs, which become selectors.
absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeX509PopVerifier(
    const NodeVerifierOptions::X509Pop& options, const TrustDomain& trust_domain);

// What may stand in agent_path_template.
extern const std::span<const std::string_view> kX509PopPathNames;

}  // namespace assay
