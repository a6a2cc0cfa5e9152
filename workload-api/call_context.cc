// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/call_context.h"

#include <string>
#include <utility>

#include "base/log.h"

namespace assay {
namespace {

constexpr std::string_view kNoIdentity = "no identity issued";

// By which id.
std::string Remember(const CallContext& context, rpc::Call& call, Refusal refusal) {
  const rpc::ProcessPeer& process = call.peer().process;
  refusal.pid = process.pid;
  refusal.uid = process.uid;
  refusal.gid = process.gid;
  refusal.service = context.service;
  refusal.runs = context.gate.LastRuns(call);
  return context.last_refusals.Note(std::move(refusal));
}

std::string RememberLackOfIdentity(const CallContext& context, rpc::Call& call,
                                   std::string_view name, const IdentitySet& identities,
                                   std::string_view asked_for) {
  Refusal refusal;
  refusal.method = name;
  refusal.error = kNoIdentity;
  refusal.asked_for = asked_for;
  refusal.attested = true;
  refusal.selectors = identities.selectors();
  return Remember(context, call, std::move(refusal));
}

// Behind the words that clients may look for.
absl::Status NoIdentity(std::string_view reason) {
  return PermissionDenied("{} (reason={})", kNoIdentity, reason);
}

}  // namespace

absl::Status RefuseForLackOfIdentity(const CallContext& context, rpc::Call& call,
                                     std::string_view name, const IdentitySet& identities,
                                     std::string_view asked_for) {
  const std::string reason = RememberLackOfIdentity(context, call, name, identities, asked_for);
  const rpc::ProcessPeer& process = call.peer().process;
  if (context.refusals.MayWrite(process.uid)) {
    const std::string shown = context.shown.Of(identities.selectors());
    log::Error("No identity issued", {{"method", name},
                                      {"pid", process.pid},
                                      {"reason", reason},
                                      {"registered", false},
                                      {shown.empty() ? "" : "selectors", shown},
                                      {"service", context.service},
                                      {"subsystem_name", context.subsystem}});
  }
  context.on_refused();
  return NoIdentity(reason);
}

absl::Status NoIdentityIssued(const CallContext& context, rpc::Call& call, std::string_view name,
                              const IdentitySet& identities) {
  return NoIdentity(RememberLackOfIdentity(context, call, name, identities, ""));
}

void LogUnadmitted(const CallContext& context, rpc::Call& call, std::string_view name,
                   const absl::Status& why) {
  const rpc::ProcessPeer& process = call.peer().process;
  if (context.gate_logs) {
    return;
  }
  std::string reason;
  if (process.Alive()) {
    Refusal refusal;
    refusal.method = name;
    refusal.error = Message(why);
    reason = Remember(context, call, std::move(refusal));
  }
  if (context.refusals.MayWrite(process.uid)) {
    log::Warn("Caller was not admitted", {{"method", name},
                                          {"pid", process.pid},
                                          {"error", why},
                                          {reason.empty() ? "" : "reason", reason},
                                          {"service", context.service},
                                          {"subsystem_name", "endpoints"}});
  }
}

}  // namespace assay
