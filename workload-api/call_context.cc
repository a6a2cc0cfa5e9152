// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/call_context.h"

#include <string>

#include "base/log.h"

namespace assay {

absl::Status RefuseForLackOfIdentity(const CallContext& context, rpc::Call& call,
                                     std::string_view name, const IdentitySet& identities) {
  const rpc::ProcessPeer& process = call.peer().process;
  if (context.refusals.MayWrite(process.uid)) {
    const std::string shown = context.shown.Of(identities.selectors());
    log::Error("No identity issued", {{"method", name},
                                      {"pid", process.pid},
                                      {"registered", false},
                                      {shown.empty() ? "" : "selectors", shown},
                                      {"service", context.service},
                                      {"subsystem_name", context.subsystem}});
  }
  context.on_refused();
  return PermissionDenied("no identity issued");
}

void LogUnadmitted(const CallContext& context, rpc::Call& call, std::string_view name,
                   const absl::Status& why) {
  const rpc::ProcessPeer& process = call.peer().process;
  if (!context.gate_logs && context.refusals.MayWrite(process.uid)) {
    log::Warn("Caller was not admitted", {{"method", name},
                                          {"pid", process.pid},
                                          {"error", why},
                                          {"service", context.service},
                                          {"subsystem_name", "endpoints"}});
  }
}

}  // namespace assay
