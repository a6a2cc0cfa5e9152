// SPDX-License-Identifier: GPL-3.0-or-later
// Agent/CreateJoinToken: makes a join token and, when asked, the entry that gives its node an
// alias.
#pragma once

#include "authority/state.h"
#include "rpc/call.h"

namespace spire::api::server::agent::v1 {
class CreateJoinTokenRequest;
}

namespace assay {

void CreateJoinToken(State& state,
                     const spire::api::server::agent::v1::CreateJoinTokenRequest& request,
                     const rpc::Responder& responder);

// Deletes the join tokens that have ended unused.
void PruneJoinTokens(State& state);

}  // namespace assay
