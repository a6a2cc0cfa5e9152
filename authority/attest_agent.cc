// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/attest_agent.h"

#include <algorithm>
#include <deque>

#include "authority/agent_svid.h"
#include "authority/id_convert.h"
#include "authority/uuid.h"
#include "base/log.h"
#include "spire/api/server/agent/v1/agent.pb.h"

namespace assay {

namespace agent = spire::api::server::agent::v1;

namespace {

constexpr std::string_view kJoinToken = "join_token";
// A slow TPM needs seconds.
constexpr absl::Duration kChallengeTime = absl::Minutes(1);
constexpr size_t kMaxTypeBytes = 64;
// Several times what an RSA-4096 key needs.
constexpr size_t kMaxCsrBytes = 8 << 10;
constexpr size_t kMaxResponseBytes = 16 << 10;

absl::Status Check(const agent::AttestAgentRequest& request) {
  if (!request.has_params()) {
    return InvalidArgument("malformed param: missing params");
  }
  const auto& params = request.params();
  if (!params.has_data()) {
    return InvalidArgument("malformed param: missing attestation data");
  }
  if (!params.has_params()) {
    return InvalidArgument("malformed param: missing X509-SVID parameters");
  }
  if (params.params().csr().empty()) {
    return InvalidArgument("malformed param: missing CSR");
  }
  if (params.params().csr().size() > kMaxCsrBytes) {
    return InvalidArgument("malformed param: CSR of {} bytes, wanted at most {}",
                           params.params().csr().size(), kMaxCsrBytes);
  }
  if (params.data().type().empty()) {
    return InvalidArgument("malformed param: missing attestation data type");
  }
  if (params.data().type().size() > kMaxTypeBytes) {
    return InvalidArgument("malformed param: attestation data type of {} bytes, wanted at most {}",
                           params.data().type().size(), kMaxTypeBytes);
  }
  if (params.data().payload().empty()) {
    return InvalidArgument("malformed param: missing attestation data payload");
  }
  return absl::OkStatus();
}

absl::Status TooMany() { return ResourceExhausted("too many nodes attest at this time"); }

class Attestation final : public rpc::CallHandler {
 public:
  Attestation(State& state, const NodeVerifiers& verifiers, rpc::Call& call)
      : state_(state),
        verifiers_(verifiers),
        call_(call),
        host_(LimitedHost(call.peer().address)) {}
  ~Attestation() override {
    *alive_ = false;
    if (verification_ != nullptr) {
      verification_->Cancel();
    }
    StopAwaitingAnswer();
  }

  void OnMessage(std::string_view bytes) override;
  void OnHalfClose() override;

 private:
  enum class Step { kParams, kWorking, kChallenged, kOver };
  using Verdict = absl::StatusOr<NodeVerification::Verdict>;

  // What a success changes.
  struct Record {
    Node node;
    std::string token_digest;  // Of what it spends; empty: none.
    std::optional<RegistrationEntry> alias;
  };

  void Begin(std::string payload);
  void BeginWithToken(const std::string& token);
  void BeginWithVerifier(std::string payload);
  void Answer(std::string response);
  void Take(const Verdict& verdict);
  void Challenge(const NodeVerification::Verdict& verdict);
  void StopAwaitingAnswer();
  void Sign(const VerifiedNode& verified);
  void Keep(const crypto::Certificate& leaf);
  absl::Status CheckAllowed() const;
  absl::Status CheckNode() const;
  std::optional<RegistrationEntry> MakeAlias() const;
  absl::StatusOr<Record> Plan() const;
  static absl::Status Write(const Record& record, Store& store);
  static void TakeOver(State& state, const Record& record);
  void Reply(const crypto::Certificate& leaf);
  void Fail(const absl::Status& status);
  // Wraps what comes back to the loop later: it is dropped when the call is over.
  template <typename Function>
  auto IfAlive(Function function) {
    return [alive = alive_, function](const auto&... arguments) {
      if (*alive) {
        function(arguments...);
      }
    };
  }

  auto Taker() {
    return IfAlive([this](const Verdict& verdict) { Take(verdict); });
  }

  State& state_;
  const NodeVerifiers& verifiers_;
  rpc::Call& call_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Step step_ = Step::kParams;
  const std::string host_;  // As limits have it.
  std::string type_, csr_;
  std::shared_ptr<NodeVerification> verification_;
  std::string asks_;                        // The machine that the answer is about; empty: none.
  EventLoop::TimerId challenge_timer_ = 0;  // Runs while the node owes an answer.
  std::string token_digest_;                // Empty: not attested by a join token.
  std::optional<Node> node_;                // What will be recorded.
  std::vector<SpiffeId> twins_;             // Of the verified node.
  bool only_once_ = false;                  // As the verified node's.
};

void Attestation::OnMessage(std::string_view bytes) {
  agent::AttestAgentRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    Fail(Internal("grpc: error unmarshalling request"));
    return;
  }
  switch (step_) {
    case Step::kParams: {
      step_ = Step::kWorking;
      if (const absl::Status checked = Check(request); !checked.ok()) {
        Fail(checked);
        return;
      }
      // No more of the message is kept: it may be large, and the node may take a minute to answer.
      type_ = request.params().data().type();
      csr_ = request.params().params().csr();
      Begin(std::move(*request.mutable_params()->mutable_data()->mutable_payload()));
      return;
    }
    case Step::kChallenged:
      step_ = Step::kWorking;
      StopAwaitingAnswer();
      Answer(std::move(*request.mutable_challenge_response()));
      return;
    case Step::kWorking:
      Fail(InvalidArgument("malformed param: a message that nobody asked for"));
      return;
    case Step::kOver:
      return;
  }
}

void Attestation::OnHalfClose() {
  if (step_ == Step::kParams) {
    Fail(InvalidArgument("failed to receive request from stream: EOF"));
  } else if (step_ == Step::kChallenged) {
    Fail(Internal("failed to receive challenge from agent: EOF"));
  }
}

void Attestation::Begin(std::string payload) {
  if (type_ == kJoinToken && state_.options.node_verifiers.join_token) {
    BeginWithToken(payload);
  } else {
    BeginWithVerifier(std::move(payload));
  }
}

void Attestation::BeginWithToken(const std::string& token) {
  token_digest_ = JoinToken::DigestOf(token);
  // Before the token is spent, and again when it is.
  if (const absl::Status allowed = CheckAllowed(); !allowed.ok()) {
    if (const JoinToken* expired = state_.tokens.Find(token_digest_); expired != nullptr) {
      state_.changes.Add(
          {.plan = [digest = token_digest_]() -> absl::StatusOr<ChangeQueue::Write> {
             return [digest](Store& store) { return store.EraseToken(digest); };
           },
           .done =
               [&state = state_, digest = token_digest_](const absl::Status& outcome) {
                 if (outcome.ok()) {
                   state.tokens.Erase(digest);
                 }
               }});
    }
    Fail(allowed);
    return;
  }
  Sign({.agent_path = fmt::format("/spire/agent/{}/{}", kJoinToken, token), .can_reattest = false});
}

void Attestation::BeginWithVerifier(std::string payload) {
  const auto found = verifiers_.find(type_);
  if (found == verifiers_.end()) {
    Fail(FailedPrecondition("error getting node attestor: could not find node attestor type {}",
                            Quoted(type_)));
    return;
  }
  if (!state_.verifying.Enter(host_, payload.size()).ok()) {
    Fail(TooMany());
    return;
  }
  verification_ = found->second->Start();
  const size_t bytes = payload.size();
  // Some payloads are secrets that somebody else could show too.
  auto secret = std::make_shared<const Secret>(Secret::TakeFrom(payload));
  state_.verification.Run(
      state_.loop,
      [verification = verification_, secret = std::move(secret), now = state_.clock.Now()] {
        return verification->Begin(secret->Reveal(), now);
      },
      [&state = state_, host = host_, bytes, take = Taker()](const Verdict& verdict) {
        state.verifying.Leave(host, bytes);
        take(verdict);
      });
}

// However many begin, who was challenged goes on.
void Attestation::Answer(std::string response) {
  if (response.size() > kMaxResponseBytes) {
    Fail(InvalidArgument("malformed param: challenge response of {} bytes, wanted at most {}",
                         response.size(), kMaxResponseBytes));
    return;
  }
  auto work = [verification = verification_, response = std::move(response)] {
    return verification->Answer(response);
  };
  if (asks_.empty()) {
    state_.verification.Run(state_.loop, std::move(work), Taker());
    return;
  }
  const absl::Status taken =
      state_.outside.has_value()
          ? state_.outside->Run({host_, asks_}, std::move(work), Taker())
          : Internal("the attestation asks {}, which is not provided for", Quoted(asks_));
  if (!taken.ok()) {
    Fail(taken);
  }
}

void Attestation::Take(const Verdict& verdict) {
  if (!verdict.ok()) {
    Fail(WithContext(verdict.status(), fmt::format("nodeattestor({})", type_)));
  } else if (!verdict->challenge.has_value()) {
    Sign(*verdict->node);
  } else if (!state_.challenged.Enter(host_, 0).ok()) {
    Fail(TooMany());
  } else {
    Challenge(*verdict);
  }
}

void Attestation::Challenge(const NodeVerification::Verdict& verdict) {
  step_ = Step::kChallenged;
  asks_ = verdict.asks;
  challenge_timer_ = state_.loop.After(kChallengeTime, [this] {
    Fail(MakeStatus(absl::StatusCode::kDeadlineExceeded, "the challenge was not answered"));
  });
  agent::AttestAgentResponse response;
  response.set_challenge(*verdict.challenge);
  call_.Send(std::make_shared<const rpc::Frame>(response));
}

void Attestation::StopAwaitingAnswer() {
  if (challenge_timer_ != 0) {
    state_.loop.Cancel(std::exchange(challenge_timer_, 0));
    state_.challenged.Leave(host_, 0);
  }
}

void Attestation::Sign(const VerifiedNode& verified) {
  absl::StatusOr<SpiffeId> id = SpiffeId::Create(state_.options.trust_domain, verified.agent_path);
  if (!id.ok()) {
    Fail(ApiError(absl::StatusCode::kInternal, "invalid agent ID", id.status()));
    return;
  }
  node_ = Node{.id = *std::move(id),
               .attestation_type = type_,
               .selectors = Normalized(verified.selectors),
               .can_reattest = verified.can_reattest};
  only_once_ = verified.only_once;
  for (const std::string& path : verified.twin_paths) {
    if (absl::StatusOr<SpiffeId> twin = SpiffeId::Create(state_.options.trust_domain, path);
        twin.ok()) {
      twins_.push_back(*std::move(twin));
    }
  }
  if (const absl::Status allowed = CheckAllowed(); !allowed.ok()) {
    Fail(allowed);
    return;
  }
  SignAgentSvid(state_, node_->id, csr_,
                IfAlive([this](const absl::StatusOr<crypto::Certificate>& leaf) {
                  if (leaf.ok()) {
                    Keep(*leaf);
                  } else {
                    Fail(leaf.status());
                  }
                }));
}

// Whether the node may attest, at this moment.
absl::Status Attestation::CheckAllowed() const {
  if (!token_digest_.empty()) {
    const JoinToken* token = state_.tokens.Find(token_digest_);
    if (token == nullptr) {
      return InvalidArgument(
          "failed to attest: join token does not exist or has already been used");
    }
    if (token->expires_at < state_.UnixNow()) {
      return InvalidArgument("join token expired");
    }
  }
  return node_.has_value() ? CheckNode() : absl::OkStatus();
}

absl::Status Attestation::CheckNode() const {
  const Node* known = state_.nodes.Find(node_->id);
  if (known != nullptr && known->banned()) {
    return PermissionDenied("failed to attest: agent is banned");
  }
  if (known != nullptr && only_once_) {
    return PermissionDenied(
        "nodeattestor({}): attestation data has already been used to attest an agent", type_);
  }
  for (const SpiffeId& twin : twins_) {
    const Node* other = twin == node_->id ? nullptr : state_.nodes.Find(twin);
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

// The entry of the alias that the token gives the node; none without, or when there is one like it.
std::optional<RegistrationEntry> Attestation::MakeAlias() const {
  const JoinToken* token = state_.tokens.Find(token_digest_);
  if (token == nullptr || !token->alias.has_value()) {
    return std::nullopt;
  }
  RegistrationEntry alias{.id = RandomUuid(),
                          .spiffe_id = *token->alias,
                          .parent_id = node_->id,
                          .selectors = {{"spiffe_id", node_->id.ToString()}},
                          .federates_with = {},
                          .dns_names = {},
                          .hint = "",
                          .created_at = state_.UnixNow()};
  return state_.entries.FindSimilar(alias) == nullptr ? std::optional(std::move(alias))
                                                      : std::nullopt;
}

absl::StatusOr<Attestation::Record> Attestation::Plan() const {
  RETURN_IF_ERROR(CheckAllowed());
  Record record{.node = *node_, .token_digest = token_digest_, .alias = MakeAlias()};
  if (const Node* known = state_.nodes.Find(node_->id)) {
    record.node.agent_version = known->agent_version;
  }
  return record;
}

absl::Status Attestation::Write(const Record& record, Store& store) {
  if (!record.token_digest.empty()) {
    RETURN_IF_ERROR(store.EraseToken(record.token_digest));
  }
  if (record.alias.has_value()) {
    RETURN_IF_ERROR(store.Put(*record.alias));
  }
  return store.Put(record.node);
}

void Attestation::TakeOver(State& state, const Record& record) {
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

void Attestation::Keep(const crypto::Certificate& leaf) {
  node_->serial = leaf.serial();
  node_->expires_at = absl::ToUnixSeconds(leaf.not_after());
  const auto record = std::make_shared<std::optional<Record>>();
  // The change goes on when the call does not: what is on disk must come to memory.
  state_.changes.Add(
      {.plan = [this, alive = alive_, record]() -> absl::StatusOr<ChangeQueue::Write> {
         if (!*alive) {
           return absl::CancelledError("the call is over");
         }
         ASSIGN_OR_RETURN(*record, Plan());
         return ChangeQueue::Write([record](Store& store) { return Write(**record, store); });
       },
       .done =
           [this, alive = alive_, &state = state_, record, leaf](const absl::Status& outcome) {
             if (outcome.ok()) {
               TakeOver(state, **record);
             }
             if (*alive) {
               outcome.ok() ? Reply(leaf) : Fail(outcome);
             }
           }});
}

void Attestation::Reply(const crypto::Certificate& leaf) {
  step_ = Step::kOver;
  agent::AttestAgentResponse response;
  ToProto(node_->id, leaf, response.mutable_result()->mutable_svid());
  response.mutable_result()->set_reattestable(node_->can_reattest);
  call_.Send(std::make_shared<const rpc::Frame>(response));
  call_.Finish(absl::OkStatus());
}

void Attestation::Fail(const absl::Status& status) {
  step_ = Step::kOver;
  StopAwaitingAnswer();
  log::Warn(
      "attestation refused",
      {{"caller_addr", call_.peer().address}, {"node_attestor_type", type_}, {"error", status}});
  call_.Finish(status);
}

}  // namespace

std::unique_ptr<rpc::CallHandler> MakeAttestation(State& state, const NodeVerifiers& verifiers,
                                                  rpc::Call& call) {
  return std::make_unique<Attestation>(state, verifiers, call);
}

}  // namespace assay
