// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/record_attestation.h"

#include <optional>
#include <utility>

#include "authority/uuid.h"
#include "base/log.h"

namespace assay {
namespace {

// What goes to disk and then to memory.
struct Record {
  Node node;
  std::string token_digest;
  std::optional<RegistrationEntry> alias;
};

// The entry of the alias that the token gives the node; none without, or when there is one like it.
std::optional<RegistrationEntry> MakeAlias(const State& state, const AttestedNode& attested) {
  const JoinToken* token = state.tokens.Find(attested.token_digest);
  if (token == nullptr || !token->alias.has_value()) {
    return std::nullopt;
  }
  const SpiffeId& id = attested.node.id;
  RegistrationEntry alias{.id = RandomUuid(),
                          .spiffe_id = *token->alias,
                          .parent_id = id,
                          .selectors = {{"spiffe_id", id.ToString()}},
                          .federates_with = {},
                          .dns_names = {},
                          .hint = "",
                          .created_at = state.UnixNow()};
  return state.entries.FindSimilar(alias) == nullptr ? std::optional(std::move(alias))
                                                     : std::nullopt;
}

absl::StatusOr<Record> Plan(const State& state, const AttestedNode& attested) {
  RETURN_IF_ERROR(CheckAttested(state, attested));
  Record record{.node = attested.node,
                .token_digest = attested.token_digest,
                .alias = MakeAlias(state, attested)};
  if (const Node* known = state.nodes.Find(attested.node.id)) {
    record.node.agent_version = known->agent_version;
  }
  return record;
}

absl::Status Write(const Record& record, Store& store) {
  if (!record.token_digest.empty()) {
    RETURN_IF_ERROR(store.EraseToken(record.token_digest));
  }
  if (record.alias.has_value()) {
    RETURN_IF_ERROR(store.Put(*record.alias));
  }
  return store.Put(record.node);
}

void TakeOver(State& state, const Record& record) {
  state.tokens.Erase(record.token_digest);
  if (record.alias.has_value()) {
    state.entries.Put(*record.alias);
  }
  Node node = record.node;
  if (const Node* known = state.nodes.Find(node.id)) {
    node.agent_version = known->agent_version;
  }
  log::Info("node attested", {{"agent_id", node.id.ToString()},
                              {"node_attestor_type", node.attestation_type},
                              {"serial_num", node.serial}});
  state.nodes.Put(std::move(node));
}

}  // namespace

absl::Status CheckJoinToken(const State& state, const std::string& digest) {
  const JoinToken* token = state.tokens.Find(digest);
  if (token == nullptr) {
    return InvalidArgument("failed to attest: join token does not exist or has already been used");
  }
  return token->expires_at < state.UnixNow() ? InvalidArgument("join token expired")
                                             : absl::OkStatus();
}

absl::Status CheckAttested(const State& state, const AttestedNode& attested) {
  if (!attested.token_digest.empty()) {
    RETURN_IF_ERROR(CheckJoinToken(state, attested.token_digest));
  }
  const Node* known = state.nodes.Find(attested.node.id);
  if (known != nullptr && known->banned()) {
    return PermissionDenied("failed to attest: agent is banned");
  }
  if (known != nullptr && attested.only_once) {
    return PermissionDenied(
        "nodeattestor({}): attestation data has already been used to attest an agent",
        attested.node.attestation_type);
  }
  for (const SpiffeId& twin : attested.twins) {
    const Node* other = twin == attested.node.id ? nullptr : state.nodes.Find(twin);
    if (other != nullptr && other->banned()) {
      return PermissionDenied("failed to attest: agent is banned");
    }
    // Whoever holds its key would be two agents, and a ban would be of one.
    if (other != nullptr) {
      return PermissionDenied("failed to attest: the node is known as {}: evict that agent first",
                              Quoted(twin.ToString()));
    }
  }
  return absl::OkStatus();
}

void RecordAttestation(State& state, const AttestedNode& attested,
                       const std::shared_ptr<const bool>& wanted,
                       std::function<void(const absl::Status&)> done) {
  const auto record = std::make_shared<std::optional<Record>>();
  state.changes.Add(
      {.plan = [&state, attested, wanted, record]() -> absl::StatusOr<ChangeQueue::Write> {
         if (!*wanted) {
           return absl::CancelledError("the call is over");
         }
         ASSIGN_OR_RETURN(*record, Plan(state, attested));
         return ChangeQueue::Write([record](Store& store) { return Write(**record, store); });
       },
       .done =
           [&state, record, done = std::move(done)](const absl::Status& outcome) {
             if (outcome.ok()) {
               TakeOver(state, **record);
             }
             done(outcome);
           }});
}

}  // namespace assay
