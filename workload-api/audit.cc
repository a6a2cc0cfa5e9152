// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/audit.h"

#include "base/log.h"
#include "crypto/json_object.h"
#include "crypto/jws.h"
#include "crypto/serial_number.h"

namespace assay {
namespace {

std::string JtiOf(std::string_view token) {
  const absl::StatusOr<crypto::Jws> jws = crypto::Jws::Parse(token);
  if (!jws.ok()) {
    return "";
  }
  const auto claims = crypto::JsonObject::Parse(jws->payload(), jws->payload().size());
  return claims.ok() ? claims->Text("jti").value_or("") : "";
}

}  // namespace

absl::Status DeclareHandedOut(const CallContext& context, rpc::Call& call, std::string_view method,
                              std::span<const HandedOut> what) {
  if (context.audit == nullptr || what.empty()) {
    return absl::OkStatus();
  }
  const rpc::ProcessPeer& process = call.peer().process;
  const absl::Status taken = context.audit->Take({.service = context.service,
                                                  .method = method,
                                                  .pid = process.pid,
                                                  .uid = process.uid,
                                                  .caller = context.gate.Audited(call)},
                                                 what);
  if (!taken.ok() && context.refusals.MayWrite(process.uid)) {
    log::Error("Nothing is handed out that the audit log cannot take",
               {{"method", method},
                {"pid", process.pid},
                {"error", taken},
                {"spiffe_id", what.front().spiffe_id}});
  }
  return taken;
}

absl::Status DeclareX509Svids(const CallContext& context, rpc::Call& call, std::string_view method,
                              IdentitySet& identities) {
  if (context.audit == nullptr) {
    return absl::OkStatus();
  }
  std::vector<HandedOut> what;
  for (const EntryIndex::Slot slot : identities.answered()) {
    what.push_back(X509HandedOut(context.state.entries().Get(slot), *context.state.FindSvid(slot)));
  }
  return DeclareHandedOut(context, call, method, what);
}

HandedOut X509HandedOut(const EntryIndex::View& entry, const ServedState::Svid& svid) {
  return {.kind = HandedOut::Kind::kX509Svid,
          .entry_id = std::string(entry.id),
          .spiffe_id = std::string(entry.spiffe_id),
          .expires_at = svid.expires_at,
          .serial = crypto::SerialOf(svid.chain),
          .audience = {},
          .jti = {}};
}

HandedOut JwtHandedOut(const EntryIndex::View& entry, const std::vector<std::string>& audience,
                       std::string_view token, int64_t expires_at) {
  return {.kind = HandedOut::Kind::kJwtSvid,
          .entry_id = std::string(entry.id),
          .spiffe_id = std::string(entry.spiffe_id),
          .expires_at = expires_at,
          .serial = {},
          .audience = audience,
          .jti = JtiOf(token)};
}

}  // namespace assay
