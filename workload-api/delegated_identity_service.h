// SPDX-License-Identifier: GPL-3.0-or-later
// spire.api.agent.delegatedidentity.v1.DelegatedIdentity of the admin socket: a delegate, which is
// a caller with an identity that the operator authorized, gets the SVIDs of processes that it names
// by their selectors or by their number, and every trust bundle. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/refusal_log.h"
#include "rpc/call.h"
#include "workload-api/delegate_gate.h"
#include "workload-api/delegated_bundles.h"
#include "workload-api/delegates.h"
#include "workload-api/jwt_tokens.h"

namespace assay {

class DelegatedIdentityService final {
 public:
  // All must outlive the service, and the service the server that it is registered with.
  struct Context {
    EventLoop& loop;
    const Clock& clock;
    const ServedState& state;
    CallerGate& callers;
    IdentitySets& sets;
    JwtTokens& jwt_tokens;
    ReferredProcesses& processes;
    LastRefusals& last_refusals;
    Audit* audit = nullptr;
  };
  // on_refused: as WorkloadService's.
  DelegatedIdentityService(const Context& context, std::function<void()> on_refused);
  DelegatedIdentityService(const DelegatedIdentityService&) = delete;
  DelegatedIdentityService& operator=(const DelegatedIdentityService&) = delete;

  void AddTo(rpc::Registry& registry);
  // Whose identity makes a caller a delegate, from now on.
  void Authorize(Delegates::Ids ids) { delegates_.Authorize(std::move(ids)); }
  // Of callers that are refused; as ShownSelectors::Set.
  void ShowSelectors(std::vector<std::string> prefixes) { shown_.Set(std::move(prefixes)); }
  // After a commit of the state, when the sets know it.
  void Refresh();

 private:
  const Context context_;
  const absl::Duration first_state_deadline_;
  const std::function<void()> on_refused_;
  RefusalLog<uid_t> refusals_;
  ShownSelectors shown_;
  Delegates delegates_;
  DelegatedBundles bundles_;
  uint64_t entries_version_ = 0;  // By which the delegates were last looked at.
};

}  // namespace assay
