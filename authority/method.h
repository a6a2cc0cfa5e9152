// SPDX-License-Identifier: GPL-3.0-or-later
// Makes unary methods of functions over the state.
#pragma once

#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

template <typename Request>
using Serve = void (*)(State&, const Request&, const rpc::Responder&);

// The state must outlive the handlers.
template <typename Request>
rpc::MakeHandler Method(State& state, Serve<Request> serve) {
  return rpc::Unary<Request>(
      [&state, serve](rpc::Call&, const Request& request, const rpc::Responder& responder) {
        serve(state, request, responder);
      });
}

}  // namespace assay
