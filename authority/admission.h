// SPDX-License-Identifier: GPL-3.0-or-later
// Lets calls through a rate limit, now or when their tokens are there.
#pragma once

#include <functional>
#include <string_view>

#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

struct Admission {
  RateLimit* limit;  // Null: no limit.
  int cost = 1;
  std::string_view rejection;  // Text that lives on, such as "rejecting request due to ...".
};

// Calls go when the limit admits the call, unless it is over by then, or refuses it. Callers on the
// admin socket have no limits.
void Admit(State& state, const Admission& admission, const rpc::Responder& responder,
           std::function<void()> go);

}  // namespace assay
