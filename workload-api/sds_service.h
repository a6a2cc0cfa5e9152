// SPDX-License-Identifier: GPL-3.0-or-later
// Envoy's Secret Discovery Service, version 3: a proxy's certificates and validation contexts,
// pushed when they change. Its callers are attested as those of the Workload API. Owned by the
// event loop's thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <unordered_set>

#include "base/refusal_log.h"
#include "rpc/call.h"
#include "workload-api/call_context.h"
#include "workload-api/sds_call.h"
#include "workload-api/sds_options.h"
#include "workload-api/sds_resources.h"
#include "workload-api/turns.h"

namespace assay {

class SdsService final {
 public:
  // What calls refer to must outlive the service, and the service the server that it is registered
  // with.
  SdsService(const CallContext& calls, std::string trust_domain, SdsOptions options);

  void AddTo(rpc::Registry& registry);
  // Whether callers without an identity get the own trust domain's bundle, also on streams that are
  // open.
  void SetAllowUnauthenticatedVerifiers(bool allow);

 private:
  SdsResources resources_;
  Turns turns_;
  RefusalLog<uid_t> nacks_;
  std::unordered_set<SdsCall*> open_;
  const SdsCall::Context context_;
};

}  // namespace assay
