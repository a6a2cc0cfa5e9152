// SPDX-License-Identifier: GPL-3.0-or-later
// spire.api.server.agent.v1.Agent: what agents call about themselves, and what operators call about
// nodes and join tokens.
#pragma once

#include "authority/authorization.h"
#include "authority/node_verifiers.h"
#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

// All must outlive the registry's server.
void AddAgentMethods(State& state, const NodeVerifiers& verifiers, Gate& gate,
                     rpc::Registry& registry);

}  // namespace assay
