// SPDX-License-Identifier: GPL-3.0-or-later
// spire.agent.debug.v1.Debug of the admin socket: the agent's own SVID, how long it runs, when it
// synced, how many SVIDs it has ready. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include "base/clock.h"
#include "rpc/call.h"
#include "spiffe/trust_domain.h"
#include "workload-api/jwt_tokens.h"
#include "workload-api/served_state.h"

namespace assay {

class DebugService final {
 public:
  struct Options {
    TrustDomain trust_domain;  // Whose bundle ends the agent's chain.
    absl::Time started_at;     // The agent's start.
  };

  // What it refers to must outlive the service.
  DebugService(Options options, const Clock& clock, const ServedState& state,
               const JwtTokens& jwt_tokens)
      : options_(std::move(options)), clock_(clock), state_(state), jwt_tokens_(jwt_tokens) {}
  DebugService(const DebugService&) = delete;
  DebugService& operator=(const DebugService&) = delete;

  // The service must outlive the servers of the registry.
  void AddTo(rpc::Registry& registry);

 private:
  const Options options_;
  const Clock& clock_;
  const ServedState& state_;
  const JwtTokens& jwt_tokens_;
};

}  // namespace assay
