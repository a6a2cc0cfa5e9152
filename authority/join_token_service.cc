// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/join_token_service.h"

#include "authority/id_convert.h"
#include "authority/uuid.h"
#include "spire/api/server/agent/v1/agent.pb.h"

namespace assay {

namespace agent = spire::api::server::agent::v1;
namespace types = spire::api::types;

namespace {

struct Plan {
  std::string token;  // As the node will show it.
  JoinToken record;
};

absl::StatusOr<Plan> Prepare(const State& state, const agent::CreateJoinTokenRequest& request) {
  if (request.ttl() < 1) {
    return InvalidArgument("ttl is required, you must provide one");
  }
  Plan plan;
  plan.token = request.token().empty() ? RandomUuid() : request.token();
  plan.record = {.digest = JoinToken::DigestOf(plan.token),
                 .expires_at = state.UnixNow() + request.ttl()};
  absl::StatusOr<SpiffeId> node =
      SpiffeId::Create(state.options.trust_domain, "/spire/agent/join_token/" + plan.token);
  if (!node.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "failed to create join token ID",
                    node.status());
  }
  if (request.has_agent_id()) {
    absl::StatusOr<SpiffeId> alias =
        ParseWorkloadId(state.options.trust_domain, request.agent_id());
    if (!alias.ok()) {
      return ApiError(absl::StatusCode::kInvalidArgument, "invalid agent ID", alias.status());
    }
    plan.record.alias = *std::move(alias);
  }
  return plan;
}

}  // namespace

void CreateJoinToken(State& state, const agent::CreateJoinTokenRequest& request,
                     const rpc::Responder& responder) {
  const absl::StatusOr<Plan> prepared = Prepare(state, request);
  if (!prepared.ok()) {
    responder.Fail(prepared.status());
    return;
  }
  const auto plan = std::make_shared<const Plan>(*prepared);
  state.changes.Add(
      {.plan = [&state, plan]() -> absl::StatusOr<ChangeQueue::Write> {
         if (state.tokens.Find(plan->record.digest) != nullptr) {
           return absl::AlreadyExistsError("failed to create token: it exists already");
         }
         return ChangeQueue::Write([plan](Store& store) { return store.Put(plan->record); });
       },
       .done =
           [&state, plan, responder](const absl::Status& outcome) {
             if (!outcome.ok()) {
               responder.Fail(outcome);
               return;
             }
             state.tokens.Put(plan->record);
             types::JoinToken response;
             response.set_value(plan->token);
             response.set_expires_at(plan->record.expires_at);
             responder.Reply(response);
           }});
}

void PruneJoinTokens(State& state) {
  const auto ended = std::make_shared<std::vector<std::string>>();
  state.changes.Add({.plan = [&state, ended]() -> absl::StatusOr<ChangeQueue::Write> {
                       *ended = state.tokens.Expired(state.UnixNow());
                       if (ended->empty()) {
                         return ChangeQueue::Write();
                       }
                       return ChangeQueue::Write([ended](Store& store) {
                         for (const std::string& digest : *ended) {
                           RETURN_IF_ERROR(store.EraseToken(digest));
                         }
                         return absl::OkStatus();
                       });
                     },
                     .done =
                         [&state, ended](const absl::Status& outcome) {
                           for (const std::string& digest : *ended) {
                             if (outcome.ok()) {
                               state.tokens.Erase(digest);
                             }
                           }
                         }});
}

}  // namespace assay
