// SPDX-License-Identifier: GPL-3.0-or-later
// Agent/AttestAgent: a node proves itself and gets its SVID. A node that attests anew replaces its
// SVID at once; a join token is spent in the same transaction that makes its node.
#pragma once

#include <memory>

#include "authority/node_verifiers.h"
#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

// One attestation's handler. The state and the verifiers must outlive it.
std::unique_ptr<rpc::CallHandler> MakeAttestation(State& state, const NodeVerifiers& verifiers,
                                                  rpc::Call& call);

}  // namespace assay
