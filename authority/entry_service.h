// SPDX-License-Identifier: GPL-3.0-or-later
// spire.api.server.entry.v1.Entry: the operator's book of registration entries, and each agent's
// share of it.
#pragma once

#include "authority/authorization.h"
#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

// All must outlive the registry's server.
void AddEntryMethods(State& state, Gate& gate, rpc::Registry& registry);

// Deletes the entries that have ended, for good.
void PruneEntries(State& state);

}  // namespace assay
