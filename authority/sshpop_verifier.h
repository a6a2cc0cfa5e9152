// SPDX-License-Identifier: GPL-3.0-or-later
// Verifies sshpop node attestation: an SSH host certificate of an authority that the operator
// trusts, and its key by a signature of a nonce.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "authority/node_verifier.h"
#include "authority/node_verifier_options.h"
#include "base/status.h"

namespace assay {

// Reads the authorities' keys.
absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeSshPopVerifier(
    const NodeVerifierOptions::SshPop& options);

// What may stand in agent_path_template.
extern const std::span<const std::string_view> kSshPopPathNames;

}  // namespace assay
