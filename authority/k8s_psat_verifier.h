// SPDX-License-Identifier: GPL-3.0-or-later
// Verifies k8s_psat node attestation: a projected service account token of Kubernetes. SPIRE Server
// asks the cluster's API server about it; this verifier has the cluster's public keys instead, so
// it needs no access to the cluster, and cannot see that a pod is gone before its token has
// expired.
#pragma once

#include <memory>

#include "authority/node_verifier.h"
#include "authority/node_verifier_options.h"
#include "base/status.h"

namespace assay {

// Reads the clusters' key files once, to tell what is wrong with them; and again at each
// attestation, for clusters change their keys.
absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeK8sPsatVerifier(
    const NodeVerifierOptions::K8sPsat& options);

}  // namespace assay
