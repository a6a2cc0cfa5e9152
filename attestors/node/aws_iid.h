// SPDX-License-Identifier: GPL-3.0-or-later
// aws_iid node attestation: the node shows its EC2 instance identity document and AWS's signatures
// of it, from the instance metadata service (IMDSv2, "Use instance identity documents" in the EC2
// User Guide).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"
#include "base/status.h"

namespace assay {

struct AwsIidOptions {
  std::string ec2_metadata_endpoint = "http://169.254.169.254";
};

class AwsIidAttestor final : public NodeAttestor {
 public:
  explicit AwsIidAttestor(AwsIidOptions options) : options_(std::move(options)) {}

  std::string_view type() const override { return "aws_iid"; }
  // Asks the metadata service; Unavailable, with what it answered, when it does not say.
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const AwsIidOptions options_;
};

}  // namespace assay
