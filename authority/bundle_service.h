// SPDX-License-Identifier: GPL-3.0-or-later
// spire.api.server.bundle.v1.Bundle: the own trust bundle, which anybody may read, and those of the
// trust domains that this one federates with.
#pragma once

#include "authority/authorization.h"
#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

// All must outlive the registry's server.
void AddBundleMethods(State& state, Gate& gate, rpc::Registry& registry);

}  // namespace assay
