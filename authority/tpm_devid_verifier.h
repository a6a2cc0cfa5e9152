// SPDX-License-Identifier: GPL-3.0-or-later
// Verifies tpm_devid node attestation (tpm/devid_verifier.h) by the CAs that the operator trusts.
#pragma once

#include <memory>

#include "authority/node_verifier.h"
#include "authority/node_verifier_options.h"
#include "base/status.h"

namespace assay {

// Reads the CA certificates.
absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeTpmDevIdVerifier(
    const NodeVerifierOptions::TpmDevId& options);

}  // namespace assay
