// SPDX-License-Identifier: GPL-3.0-or-later
// The SPIFFE Workload API (SPIFFE Workload API, workload.proto): the X.509 and JWT profiles, on
// streams that get a whole new message at each change. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/refusal_log.h"
#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/caller_gate.h"
#include "workload-api/identity_set.h"
#include "workload-api/jwt_methods.h"
#include "workload-api/last_refusals.h"
#include "workload-api/shown_selectors.h"

namespace assay {

class WorkloadService final {
 public:
  struct Options {
    // Whether callers without an identity get the own trust domain's bundle.
    bool allow_unauthenticated_verifiers = false;
    // Called when a caller had no identity: an entry for it may await upstream.
    std::function<void()> on_refused;
    JwtMethods::Options jwt;
  };

  // Callers that come before the first state wait so long after the service's beginning, which is
  // longer than a serve role started anew needs to be told; then they are answered Unavailable.
  static constexpr absl::Duration kFirstStateGrace = absl::Seconds(1);

  // Of one request: the largest of all is a proxy's first, in which Envoy names its extensions,
  // some 70 KB, besides 64 KiB of resources.
  static constexpr size_t kMaxRequestBytes = 256 << 10;

  // All must outlive the service, and the service the server that it is registered with.
  struct Context {
    EventLoop& loop;
    const Clock& clock;
    const ServedState& state;
    CallerGate& gate;
    JwtTokens& jwt_tokens;
    Audit* audit = nullptr;
  };
  WorkloadService(const Context& context, Options options);

  void AddTo(rpc::Registry& registry);
  // For the calls of a service, by its name in the log. Others beside this one so share what is
  // said of callers that are turned away. It must not outlive this.
  CallContext CallsOf(std::string_view service);
  // Of all those that share it.
  LastRefusals& last_refusals() { return last_refusals_; }
  // Of callers that are refused; as ShownSelectors::Set.
  void ShowSelectors(std::vector<std::string> prefixes) { shown_.Set(std::move(prefixes)); }
  // These for the calls that begin from now on.
  void AllowForeignJwtClaims(std::set<std::string, std::less<>> claims) {
    jwt_.AllowForeignClaims(std::move(claims));
  }
  void SetAllowUnauthenticatedVerifiers(bool allow) {
    options_.allow_unauthenticated_verifiers = allow;
  }

  // For all methods of the server: one of the Workload API without the metadata
  // "workload.spiffe.io: true" is InvalidArgument, before anything else is looked at (Workload
  // Endpoint §3).
  static absl::Status CheckSecurityHeader(const rpc::Call& call);

 private:
  const Context context_;
  const absl::Duration first_state_deadline_;
  Options options_;
  RefusalLog<uid_t> refusals_;
  ShownSelectors shown_;
  LastRefusals last_refusals_;
  JwtMethods jwt_;
};

}  // namespace assay
