// SPDX-License-Identifier: GPL-3.0-or-later
// The callers of the serve role: each connection is attested when it is accepted, and the process
// behind it must still be that program at each call. One that has executed another program, or has
// other credentials, since it connected is refused for good: its socket may be in other hands,
// which must get neither the old program's identities nor the new one's. Owned by the serve role's
// thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/probe_client.h"
#include "agent/serve_counts.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "rpc/peer.h"
#include "workload-api/caller_gate.h"
#include "workload-api/identity_set.h"

namespace assay {

class Callers final : public CallerGate {
 public:
  // All must outlive the callers.
  struct Context {
    EventLoop& loop;
    const Clock& clock;
    ProbeClient& probe;
    IdentitySets& sets;
    ServeCounts& counts;
  };
  explicit Callers(const Context& context) : context_(context) {}

  // For rpc::Server::Options: begins the attestation of a new connection.
  absl::Status OnConnect(rpc::Peer& peer);

  void Admit(rpc::Call& call, Admitted admitted) override;
  void Observe(rpc::Call& call, CallerObserver& observer) override;
  void Forget(rpc::Call& call, CallerObserver& observer) override;
  AuditedCaller Audited(rpc::Call& call) override;
  AttestorRuns LastRuns(rpc::Call& call) override;

 private:
  const Context context_;
  bool told_weak_ = false;
};

}  // namespace assay
