// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/agent_service.h"

#include <functional>

#include "authority/admitted_call.h"
#include "authority/agent_convert.h"
#include "authority/agent_svid.h"
#include "authority/attest_agent.h"
#include "authority/id_convert.h"
#include "authority/join_token_service.h"
#include "authority/method.h"
#include "authority/set_match.h"
#include "base/log.h"
#include "google/protobuf/empty.pb.h"
#include "spire/api/server/agent/v1/agent.pb.h"

namespace assay {

namespace agent = spire::api::server::agent::v1;
namespace types = spire::api::types;

namespace {

constexpr size_t kMaxVersionBytes = 255;
// Of a TPM's certificates and quotes, or of a CSR.
constexpr size_t kMaxAttestationBytes = 300 << 10;

// Those of ASCII, and U+0080 to U+009F.
bool HasControls(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f ||
        (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0)) {
      return true;
    }
  }
  return false;
}

using NodeFilter = std::function<bool(const Node&)>;

// "2006-01-02 15:04:05 -0700 -07": the last word says again what the one before says. Text that is
// no time filters nothing, as the reference has it.
std::optional<int64_t> ParseExpiresBefore(const std::string& text) {
  absl::Time time;
  std::string error;
  const size_t last_word = text.rfind(' ');
  if (last_word == std::string::npos ||
      !absl::ParseTime("%Y-%m-%d %H:%M:%S %z", text.substr(0, last_word), &time, &error)) {
    return std::nullopt;
  }
  return absl::ToUnixSeconds(time);
}

absl::StatusOr<NodeFilter> MakeFilter(const agent::Filter& filter) {
  ASSIGN_OR_RETURN(const std::vector<Selector> selectors,
                   ParseSelectors(filter.by_selector_match().selectors()));
  const std::optional<int64_t> before = ParseExpiresBefore(filter.by_expires_before());
  return [filter, selectors, before](const Node& node) {
    const auto match = static_cast<SetMatch>(filter.by_selector_match().match());
    return (filter.by_attestation_type().empty() ||
            node.attestation_type == filter.by_attestation_type()) &&
           (!filter.has_by_selector_match() || Passes(match, selectors, node.selectors)) &&
           (!filter.has_by_banned() || node.banned() == filter.by_banned().value()) &&
           (!filter.has_by_can_reattest() ||
            node.can_reattest == filter.by_can_reattest().value()) &&
           (!before.has_value() || node.expires_at < *before);
  };
}

void Count(State& state, const agent::CountAgentsRequest& request,
           const rpc::Responder& responder) {
  const absl::StatusOr<NodeFilter> filter = MakeFilter(request.filter());
  if (!filter.ok()) {
    responder.Fail(
        ApiError(absl::StatusCode::kInvalidArgument, "failed to parse selectors", filter.status()));
    return;
  }
  agent::CountAgentsResponse response;
  for (const auto& [id, node] : state.nodes.all()) {
    response.set_count(response.count() + ((*filter)(node) ? 1 : 0));
  }
  responder.Reply(response);
}

void List(State& state, const agent::ListAgentsRequest& request, const rpc::Responder& responder) {
  const absl::StatusOr<NodeFilter> filter = MakeFilter(request.filter());
  if (!filter.ok()) {
    responder.Fail(
        ApiError(absl::StatusCode::kInvalidArgument, "failed to parse selectors", filter.status()));
    return;
  }
  const auto& mask = request.has_output_mask() ? request.output_mask() : AllOfAgent();
  agent::ListAgentsResponse response;
  const auto& nodes = state.nodes.all();
  for (auto it = nodes.upper_bound(request.page_token()); it != nodes.end(); ++it) {
    if ((*filter)(it->second)) {
      if (request.page_size() > 0 && response.agents_size() == request.page_size()) {
        response.set_next_page_token(std::prev(it)->first);
        break;
      }
      ToProto(it->second, mask, response.add_agents());
    }
  }
  responder.Reply(response);
}

void Get(State& state, const agent::GetAgentRequest& request, const rpc::Responder& responder) {
  const absl::StatusOr<SpiffeId> id = ParseAgentId(state.options.trust_domain, request.id());
  if (!id.ok()) {
    responder.Fail(ApiError(absl::StatusCode::kInvalidArgument, "invalid agent ID", id.status()));
    return;
  }
  const Node* node = state.nodes.Find(*id);
  if (node == nullptr) {
    responder.Fail(NotFound("agent not found"));
    return;
  }
  types::Agent response;
  ToProto(*node, request.has_output_mask() ? request.output_mask() : AllOfAgent(), &response);
  responder.Reply(response);
}

// The entry that gives a node of a join token its alias.
EntryPtr FindTokenAlias(const State& state, const SpiffeId& id) {
  for (const EntryPtr& entry : state.entries.AuthorizedFor(id, {}, state.UnixNow())) {
    if (entry->parent_id == id &&
        entry->selectors == std::vector<Selector>{{"spiffe_id", id.ToString()}}) {
      return entry;
    }
  }
  return nullptr;
}

void Delete(State& state, const SpiffeId& id, const rpc::Responder& responder) {
  const auto alias = std::make_shared<EntryPtr>();
  state.changes.Add(
      {.plan = [&state, id, alias]() -> absl::StatusOr<ChangeQueue::Write> {
         const Node* node = state.nodes.Find(id);
         if (node == nullptr) {
           return NotFound("agent not found");
         }
         *alias = node->attestation_type == "join_token" ? FindTokenAlias(state, id) : nullptr;
         return ChangeQueue::Write([id, entry = *alias](Store& store) {
           RETURN_IF_ERROR(entry == nullptr ? absl::OkStatus() : store.EraseEntry(entry->id));
           return store.EraseNode(id);
         });
       },
       .done =
           [&state, id, alias, responder](const absl::Status& outcome) {
             if (!outcome.ok()) {
               responder.Fail(outcome);
               return;
             }
             state.nodes.Erase(id);
             state.authorized.Forget(id);
             state.authorized_books.erase(id.ToString());
             EndCallsOf(state, id, DenialReason::kNotAttested);
             if (*alias != nullptr) {
               state.entries.Erase((*alias)->id);
             }
             log::Info("agent deleted", {{"agent_id", id.ToString()}});
             responder.Reply(google::protobuf::Empty());
           }});
}

void Ban(State& state, const SpiffeId& id, const rpc::Responder& responder) {
  const auto ban = [](Node& node) {
    node.serial.clear();
    node.pending_serial.clear();
    node.pending_expires_at = 0;
  };
  state.changes.Add({.plan = [&state, id, ban]() -> absl::StatusOr<ChangeQueue::Write> {
                       const Node* node = state.nodes.Find(id);
                       if (node == nullptr) {
                         return NotFound("agent not found");
                       }
                       Node banned = *node;
                       ban(banned);
                       return ChangeQueue::Write(
                           [banned](Store& store) { return store.Put(banned); });
                     },
                     .done =
                         [&state, id, ban, responder](const absl::Status& outcome) {
                           if (!outcome.ok()) {
                             responder.Fail(outcome);
                             return;
                           }
                           Node banned = *state.nodes.Find(id);
                           ban(banned);
                           state.nodes.Put(std::move(banned));
                           EndCallsOf(state, id, DenialReason::kBanned);
                           log::Info("agent banned", {{"agent_id", id.ToString()}});
                           responder.Reply(google::protobuf::Empty());
                         }});
}

// Changes one field of a node, on disk and then in memory.
template <typename Set>
void UpdateNode(State& state, const SpiffeId& id, Set set,
                std::function<void(const absl::Status&)> done) {
  state.changes.Add({.plan = [&state, id, set]() -> absl::StatusOr<ChangeQueue::Write> {
                       const Node* node = state.nodes.Find(id);
                       if (node == nullptr || node->banned()) {
                         return NotFound("agent not found");
                       }
                       Node updated = *node;
                       set(updated);
                       return ChangeQueue::Write(
                           [updated](Store& store) { return store.Put(updated); });
                     },
                     .done =
                         [&state, id, set, done = std::move(done)](const absl::Status& outcome) {
                           if (outcome.ok()) {
                             // The node as it is now: its SVID may have been activated meanwhile.
                             Node updated = *state.nodes.Find(id);
                             set(updated);
                             state.nodes.Put(std::move(updated));
                           }
                           done(outcome);
                         }});
}

void RecordRenewal(State& state, const SpiffeId& id, const crypto::Certificate& leaf,
                   const rpc::Responder& responder) {
  UpdateNode(
      state, id,
      [serial = leaf.serial(), end = absl::ToUnixSeconds(leaf.not_after())](Node& node) {
        node.pending_serial = serial;
        node.pending_expires_at = end;
      },
      [id, leaf, responder](const absl::Status& outcome) {
        if (!outcome.ok()) {
          responder.Fail(outcome);
          return;
        }
        log::Info("agent SVID renewed", {{"agent_id", id.ToString()}});
        agent::RenewAgentResponse response;
        ToProto(id, leaf, response.mutable_svid());
        responder.Reply(response);
      });
}

void Renew(State& state, const agent::RenewAgentRequest& request, const rpc::Responder& responder) {
  const std::optional<SpiffeId> id = CallerId(responder.call()->peer());
  const Node* node = id.has_value() ? state.nodes.Find(*id) : nullptr;
  if (node == nullptr) {
    responder.Fail(NotFound("agent not found"));
    return;
  }
  if (node->can_reattest) {
    const Denial denial = Deny(DenialReason::kMustReattest, "agent must reattest instead of renew");
    responder.Fail(denial.status, denial.details);
    return;
  }
  if (!request.has_params()) {
    responder.Fail(InvalidArgument("params cannot be nil"));
    return;
  }
  if (request.params().csr().empty()) {
    responder.Fail(InvalidArgument("missing CSR"));
    return;
  }
  SignAgentSvid(state, *id, request.params().csr(),
                [&state, id, responder](const absl::StatusOr<crypto::Certificate>& leaf) {
                  if (leaf.ok()) {
                    RecordRenewal(state, *id, *leaf, responder);
                  } else {
                    responder.Fail(leaf.status());
                  }
                });
}

void Post(State& state, const agent::PostStatusRequest& request, const rpc::Responder& responder) {
  const std::optional<SpiffeId> id = CallerId(responder.call()->peer());
  if (!id.has_value()) {
    responder.Fail(Internal("caller ID missing from request context"));
    return;
  }
  const std::string& version = request.agent_version();
  if (version.size() > kMaxVersionBytes) {
    responder.Fail(
        InvalidArgument("agent version is too long (max {} characters)", kMaxVersionBytes));
    return;
  }
  // Operators read it in terminals.
  if (HasControls(version)) {
    responder.Fail(InvalidArgument("agent version has control characters"));
    return;
  }
  const Node* node = state.nodes.Find(*id);
  if (version.empty() || (node != nullptr && node->agent_version == version)) {
    responder.Reply(agent::PostStatusResponse());
    return;
  }
  UpdateNode(
      state, *id, [version](Node& updated) { updated.agent_version = version; },
      [responder](const absl::Status& outcome) {
        outcome.ok() ? responder.Reply(agent::PostStatusResponse()) : responder.Fail(outcome);
      });
}

// A method that works on the one agent its request names.
template <typename Request>
rpc::MakeHandler OnAgent(State& state,
                         void (*serve)(State&, const SpiffeId&, const rpc::Responder&)) {
  return rpc::Unary<Request>([&state, serve](rpc::Call&, const Request& request,
                                             const rpc::Responder& responder) {
    const absl::StatusOr<SpiffeId> id = ParseAgentId(state.options.trust_domain, request.id());
    if (id.ok()) {
      serve(state, *id, responder);
    } else {
      responder.Fail(ApiError(absl::StatusCode::kInvalidArgument, "invalid agent ID", id.status()));
    }
  });
}

}  // namespace

void AddAgentMethods(State& state, const NodeVerifiers& verifiers, Gate& gate,
                     rpc::Registry& registry) {
  const auto add = [&](std::string_view name, const Rule& rule, rpc::MakeHandler make) {
    gate.Add(registry, fmt::format("/spire.api.server.agent.v1.Agent/{}", name), rule,
             std::move(make));
  };
  add("CountAgents", OperatorsOnly(), Method<agent::CountAgentsRequest>(state, Count));
  add("ListAgents", OperatorsOnly(), Method<agent::ListAgentsRequest>(state, List));
  add("GetAgent", OperatorsOnly(), Method<agent::GetAgentRequest>(state, Get));
  add("DeleteAgent", OperatorsOnly(), OnAgent<agent::DeleteAgentRequest>(state, Delete));
  add("BanAgent", OperatorsOnly(), OnAgent<agent::BanAgentRequest>(state, Ban));
  add("CreateJoinToken", OperatorsOnly(),
      Method<agent::CreateJoinTokenRequest>(state, CreateJoinToken));
  add("AttestAgent",
      {.access = Access::kAnyone,
       .max_request_bytes = kMaxAttestationBytes,
       .rate = {.limit = state.options.ratelimit_attestation ? &state.attest_limit : nullptr,
                .rejection = "rejecting request due to attest agent rate limiting"}},
      [&state, &verifiers](rpc::Call& call) { return MakeAttestation(state, verifiers, call); });
  add("RenewAgent",
      {.access = Access::kAgent,
       .rate = {.limit = state.options.ratelimit_signing ? &state.csr_limit : nullptr,
                .rejection = "rejecting request due to renew agent rate limiting"}},
      Method<agent::RenewAgentRequest>(state, Renew));
  add("PostStatus",
      {.access = Access::kAgent,
       .rate = {.limit = &state.status_limit,
                .rejection = "rejecting request due to post status rate limiting"}},
      Method<agent::PostStatusRequest>(state, Post));
}

}  // namespace assay
