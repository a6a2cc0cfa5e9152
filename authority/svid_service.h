// SPDX-License-Identifier: GPL-3.0-or-later
// spire.api.server.svid.v1.SVID: signs the SVIDs of workloads for their agents, and those that
// operators mint. An authority has no nested ones below it and makes no WIT-SVIDs, so the methods
// for those do not exist here.
#pragma once

#include "authority/authorization.h"
#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

// All must outlive the registry's server.
void AddSvidMethods(State& state, Gate& gate, rpc::Registry& registry);

}  // namespace assay
