// SPDX-License-Identifier: GPL-3.0-or-later
// Stands before a call's handler: lets a message through when it is small enough, its caller may
// still make the call, and, for the first one, the rate limit has tokens for it, now or later.
// Owned by the loop's thread.
#pragma once

#include <memory>

#include "authority/authorization.h"
#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

// The handler of a call on a method of this rule; make is asked for the one behind it only when the
// caller may call. All must outlive the handler.
std::unique_ptr<rpc::CallHandler> AdmitCall(State& state, Gate& gate, const Rule& rule,
                                            const rpc::MakeHandler& make, rpc::Call& call);

// Ends the open calls of an agent that may call no more.
void EndCallsOf(State& state, const SpiffeId& agent, DenialReason reason);

}  // namespace assay
