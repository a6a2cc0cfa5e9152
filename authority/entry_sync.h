// SPDX-License-Identifier: GPL-3.0-or-later
// Entry/SyncAuthorizedEntries: an agent's entries, all at once when they fit in one page of 500,
// and otherwise first their revisions and then the entries that the agent asks for.
#pragma once

#include <memory>

#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

// What the calling agent may serve at this moment.
AuthorizedEntries::View AuthorizedFor(State& state, const rpc::Peer& caller);

// One sync's handler. The state must outlive it.
std::unique_ptr<rpc::CallHandler> MakeEntrySync(State& state, rpc::Call& call);

}  // namespace assay
