// SPDX-License-Identifier: GPL-3.0-or-later
// azure_imds node attestation: the node shows the attested document that the instance metadata
// service of Azure signs together with the upstream's nonce ("Azure Instance Metadata Service").
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"
#include "base/status.h"

namespace assay {

struct AzureImdsOptions {
  std::string tenant_domain;  // Of the tenant that the machine is in.
  std::string endpoint = "http://169.254.169.254";
};

class AzureImdsAttestor final : public NodeAttestor {
 public:
  explicit AzureImdsAttestor(AzureImdsOptions options) : options_(std::move(options)) {}

  std::string_view type() const override { return "azure_imds"; }
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const AzureImdsOptions options_;
};

}  // namespace assay
