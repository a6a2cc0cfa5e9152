// SPDX-License-Identifier: GPL-3.0-or-later
// k8s_psat node attestation: the node shows the service account token that Kubernetes projects into
// the agent's pod, which names the pod and is signed by the cluster.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"
#include "base/status.h"

namespace assay {

struct K8sPsatOptions {
  std::string cluster;  // As the upstream calls it.
  std::string token_path = "/var/run/secrets/tokens/spire-agent";
};

class K8sPsatAttestor final : public NodeAttestor {
 public:
  explicit K8sPsatAttestor(K8sPsatOptions options) : options_(std::move(options)) {}

  std::string_view type() const override { return "k8s_psat"; }
  // Reads the token, anew each time: the kubelet replaces it before it expires.
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const K8sPsatOptions options_;
};

}  // namespace assay
