// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/authorization.h"

#include "authority/admitted_call.h"
#include "base/log.h"
#include "google/rpc/status.pb.h"
#include "spiffe/x509_svid.h"
#include "spire/api/types/status.pb.h"

namespace assay {
namespace {

std::string_view ToString(DenialReason reason) {
  switch (reason) {
    case DenialReason::kNone:
      return "";
    case DenialReason::kExpired:
      return "agent SVID is expired";
    case DenialReason::kNotAttested:
      return "agent is not attested";
    case DenialReason::kNotActive:
      return "agent SVID is not active";
    case DenialReason::kBanned:
      return "agent is banned";
    case DenialReason::kMustReattest:
      return "agent must reattest instead of renew";
  }
  return "";
}

}  // namespace

Denial Deny(DenialReason reason, std::string_view message) {
  Denial denial{.status = PermissionDenied("{}", message)};
  if (reason != DenialReason::kNone) {
    spire::api::types::PermissionDeniedDetails why;
    why.set_reason(static_cast<spire::api::types::PermissionDeniedDetails::Reason>(reason));
    google::rpc::Status status;
    status.set_code(static_cast<int>(absl::StatusCode::kPermissionDenied));
    status.set_message(std::string(message));
    status.add_details()->PackFrom(why);
    denial.details = status.SerializeAsString();
  }
  return denial;
}

std::optional<SpiffeId> CallerId(const rpc::Peer& peer) {
  if (peer.tls_chain.empty()) {
    return std::nullopt;
  }
  absl::StatusOr<SpiffeId> id = ParseLeafId(peer.tls_chain.front());
  return id.ok() ? std::optional(*std::move(id)) : std::nullopt;
}

void Gate::Add(rpc::Registry& registry, std::string method, const Rule& rule,
               rpc::MakeHandler make) {
  registry.Add(std::move(method), [this, rule, make = std::move(make)](rpc::Call& call) {
    return AdmitCall(state_, *this, rule, make, call);
  });
}

Denial Gate::Judge(Access access, std::string_view method, const rpc::Peer& peer) {
  const bool local = transport_ == Transport::kLocal;
  const std::optional<SpiffeId> id = CallerId(peer);
  const bool is_operator = local || (id.has_value() && IsOperator(*id, peer.tls_chain.front()));
  const bool for_operators = access == Access::kOperator || access == Access::kAgentOrOperator;
  const bool for_agents = access == Access::kAgent || access == Access::kAgentOrOperator;
  if (access == Access::kAnyone || (for_operators && is_operator)) {
    return {};
  }
  DenialReason reason = DenialReason::kNone;
  if (for_agents && !local && id.has_value()) {
    reason = CheckAgent(*id, peer.tls_chain.front());
    if (reason == DenialReason::kNone) {
      return {};
    }
  }
  if (state_.refusals.MayWrite(LimitedHost(peer.address))) {
    log::Warn("refused a call", {{"method", method},
                                 {"caller_id", id.has_value() ? id->ToString() : ""},
                                 {"caller_addr", peer.address},
                                 {"reason", ToString(reason)}});
  }
  return Deny(reason, fmt::format("authorization denied for method {}", method));
}

// TLS looked at the certificate when the connection was made; it may have ended since.
bool Gate::IsOperator(const SpiffeId& id, const crypto::Certificate& leaf) const {
  return state_.clock.Now() <= leaf.not_after() && state_.entries.IsAdmin(id, state_.UnixNow());
}

DenialReason Gate::CheckAgent(const SpiffeId& id, const crypto::Certificate& leaf) {
  if (state_.clock.Now() > leaf.not_after()) {
    return DenialReason::kExpired;
  }
  const Node* node = state_.nodes.Find(id);
  if (node == nullptr) {
    return DenialReason::kNotAttested;
  }
  if (node->banned()) {
    return DenialReason::kBanned;
  }
  if (leaf.serial() == node->serial) {
    return DenialReason::kNone;
  }
  if (leaf.serial() == node->pending_serial) {
    Activate(*node);
    return DenialReason::kNone;
  }
  return DenialReason::kNotActive;
}

// Memory goes first, so that the old SVID ends now. Should the write be lost, the renewed SVID is
// still the pending one on disk and is activated again when it is next used.
void Gate::Activate(const Node& node) {
  Node active = node;
  active.serial = std::move(active.pending_serial);
  active.expires_at = active.pending_expires_at;
  active.pending_serial.clear();
  active.pending_expires_at = 0;
  state_.nodes.Put(active);
  state_.changes.Add({.plan = [this, id = active.id]() -> absl::StatusOr<ChangeQueue::Write> {
                        const Node* current = state_.nodes.Find(id);
                        if (current == nullptr) {
                          return ChangeQueue::Write();
                        }
                        return ChangeQueue::Write(
                            [copy = *current](Store& store) { return store.Put(copy); });
                      },
                      .done = [](const absl::Status&) {}});
}

}  // namespace assay
