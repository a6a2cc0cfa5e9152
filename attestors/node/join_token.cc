// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/join_token.h"

#include "attestors/node/shown_attestation.h"

namespace assay {

absl::StatusOr<std::unique_ptr<NodeAttestation>> JoinTokenAttestor::Begin() {
  if (token_.empty()) {
    return FailedPrecondition(
        "no join token: have the upstream make one, and set join_token or join_token_file");
  }
  return std::make_unique<ShownAttestation>(type(), token_.Clone());
}

}  // namespace assay
