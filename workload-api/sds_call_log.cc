// SPDX-License-Identifier: GPL-3.0-or-later
// What the log is told of a call of SDS.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "google/rpc/status.pb.h"
#include "workload-api/sds_call.h"

namespace assay {

void SdsCall::NoteMissing(const Found& found) {
  const bool unknown = subscription_.everything() && !found.has_identity;
  if ((found.missing.empty() && !unknown) || !found.settled ||
      std::exchange(missing_noted_, true)) {
    return;
  }
  if (!found.has_identity) {
    // What the stream gets when there is one is another matter.
    (void)NoIdentity();
    return;
  }
  const rpc::ProcessPeer& process = call_.peer().process;
  if (context_.calls.refusals.MayWrite(process.uid)) {
    const std::string reason = ReasonOf(found);
    log::Warn("SDS resource is not there", {{"method", name()},
                                            {"pid", process.pid},
                                            {"resource", Quoted(found.missing.front())},
                                            {"missing", found.missing.size()},
                                            {reason.empty() ? "" : "reason", reason},
                                            {"service", context_.calls.service},
                                            {"subsystem_name", "endpoints"}});
  }
  context_.calls.on_refused();
}

std::string SdsCall::ReasonOf(const Found& found) const {
  const std::string& all = context_.resources.options().default_all_bundles_name;
  const bool needs_validator = validation_ == SdsValidation::kPlain && !all.empty() &&
                               std::ranges::find(found.missing, all) != found.missing.end();
  return needs_validator
             ? fmt::format(
                   "{} needs Envoy's SPIFFE validator, which is disabled or not in this Envoy",
                   Quoted(all))
             : "";
}

absl::Status SdsCall::NoIdentity() {
  return RefuseForLackOfIdentity(context_.calls, call_, name(), *identities_);
}

void SdsCall::LogRefusal(const google::rpc::Status& why, std::string_view nonce) {
  const rpc::ProcessPeer& process = call_.peer().process;
  if (context_.nacks.MayWrite(process.uid)) {
    const auto& names = subscription_.names();
    log::Error("Envoy reported errors applying secrets",
               {{"method", name()},
                {"pid", process.pid},
                {"nonce", Quoted(nonce)},
                {"resource_names", names.empty() ? "" : Quoted(*names.begin())},
                {"asked_for", names.size()},
                {"error", fmt::format("code {}: {}", why.code(), Quoted(why.message()))},
                {"service", context_.calls.service},
                {"subsystem_name", "endpoints"}});
  }
}

}  // namespace assay
