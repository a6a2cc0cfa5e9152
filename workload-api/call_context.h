// SPDX-License-Identifier: GPL-3.0-or-later
// What all calls of the Workload API share, and how they turn callers away. Owned by the event
// loop's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <functional>
#include <string_view>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/refusal_log.h"
#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/caller_gate.h"
#include "workload-api/identity_set.h"
#include "workload-api/last_refusals.h"
#include "workload-api/served_state.h"
#include "workload-api/shown_selectors.h"

namespace assay {

class Audit;

struct CallContext {
  std::string_view service;                  // As the log calls it: "WorkloadAPI".
  std::string_view subsystem = "endpoints";  // As the log calls it, too.
  EventLoop& loop;
  const Clock& clock;
  const ServedState& state;
  CallerGate& gate;
  // By clock's SinceBoot(): until then calls wait for the first state.
  absl::Duration first_state_deadline;
  const std::function<void()>& on_refused;
  RefusalLog<uid_t>& refusals;
  const ShownSelectors& shown;
  LastRefusals& last_refusals;
  // Whether the gate tells the log itself whom it does not admit.
  bool gate_logs = false;
  Audit* audit = nullptr;  // Of what calls hand out; null: nobody asks.
};

// The status of a call whose caller has no identity, which is told to the log and to on_refused,
// and remembered. The name is the method's as the log has it: "FetchX509SVID"; asked_for the SPIFFE
// ID that alone was wanted, if any.
absl::Status RefuseForLackOfIdentity(const CallContext& context, rpc::Call& call,
                                     std::string_view name, const IdentitySet& identities,
                                     std::string_view asked_for = "");
// The same without the log, and without on_refused: "no identity issued (reason=7GQ4ZKM2X9TB)", by
// whose end operators find it among the last refusals.
absl::Status NoIdentityIssued(const CallContext& context, rpc::Call& call, std::string_view name,
                              const IdentitySet& identities);
// Tells the log that the gate did not admit the caller, and remembers it, unless he has exited.
void LogUnadmitted(const CallContext& context, rpc::Call& call, std::string_view name,
                   const absl::Status& why);

}  // namespace assay
