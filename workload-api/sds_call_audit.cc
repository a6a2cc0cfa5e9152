// SPDX-License-Identifier: GPL-3.0-or-later
// What a call of SDS says of the keys that it tells.
#include "workload-api/audit.h"
#include "workload-api/sds_call.h"

namespace assay {

bool SdsCall::Declare(const std::vector<SharedSdsResource>& resources) {
  if (context_.calls.audit == nullptr) {
    return true;
  }
  std::vector<HandedOut> what;
  for (const SharedSdsResource& resource : resources) {
    if (resource->is_svid) {
      what.push_back(resource->key);
    }
  }
  const absl::Status declared = DeclareHandedOut(context_.calls, call_, name(), what);
  if (!declared.ok()) {
    End(declared);
  }
  return declared.ok();
}

}  // namespace assay
