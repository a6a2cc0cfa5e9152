// SPDX-License-Identifier: GPL-3.0-or-later
// gcp_iit node attestation: the node shows its instance identity token, which the metadata server
// of Google's Compute Engine signs for this purpose ("Verify the identity of VMs" in its
// documentation).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"
#include "base/status.h"

namespace assay {

struct GcpIitOptions {
  std::string identity_token_host = "metadata.google.internal";
  std::string service_account = "default";
};

class GcpIitAttestor final : public NodeAttestor {
 public:
  explicit GcpIitAttestor(GcpIitOptions options) : options_(std::move(options)) {}

  std::string_view type() const override { return "gcp_iit"; }
  // Asks the metadata server; Unavailable, with what it answered, when it does not say.
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const GcpIitOptions options_;
};

}  // namespace assay
