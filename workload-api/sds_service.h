// SPDX-License-Identifier: GPL-3.0-or-later
// Envoy's Secret Discovery Service, version 3: a proxy's certificates and validation contexts,
// pushed when they change. Its callers are attested as those of the Workload API. Owned by the
// event loop's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/refusal_log.h"
#include "rpc/call.h"
#include "workload-api/caller_gate.h"
#include "workload-api/name_budget.h"
#include "workload-api/sds_options.h"
#include "workload-api/sds_resources.h"
#include "workload-api/served_state.h"
#include "workload-api/shown_selectors.h"

namespace assay {

class SdsService final {
 public:
  struct Options {
    std::string trust_domain;
    SdsOptions names;
    // Called when something is asked for that is not there: an entry for it may await upstream.
    std::function<void()> on_refused;
  };
  // All must outlive the service, and the service the server that it is registered with.
  struct Context {
    EventLoop& loop;
    const Clock& clock;
    const ServedState& state;
    CallerGate& gate;
  };
  SdsService(const Context& context, Options options);

  void AddTo(rpc::Registry& registry);
  // Of callers that are refused; as ShownSelectors::Set.
  void ShowSelectors(std::vector<std::string> prefixes) { shown_.Set(std::move(prefixes)); }
  // Whether callers without an identity get the own trust domain's bundle.
  void SetAllowUnauthenticatedVerifiers(bool allow) {
    resources_.SetAllowUnauthenticatedVerifiers(allow);
  }

 private:
  const Context context_;
  const absl::Duration first_state_deadline_;
  const std::function<void()> on_refused_;
  SdsResources resources_;
  RefusalLog<uid_t> refusals_;
  ShownSelectors shown_;
  NameBudget names_;
};

}  // namespace assay
