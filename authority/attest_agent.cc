// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/attest_agent.h"

#include <utility>

#include "authority/agent_svid.h"
#include "authority/id_convert.h"
#include "authority/record_attestation.h"
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

  void Begin(std::string payload);
  void BeginWithToken(const std::string& token);
  void BeginWithVerifier(std::string payload);
  void Answer(std::string response);
  void Take(const Verdict& verdict);
  void Challenge(const NodeVerification::Verdict& verdict);
  void StopAwaitingAnswer();
  WaitingRoom& Challenged() {
    return state_.challenged.try_emplace(type_, State::kChallenged).first->second;
  }
  // Empty: no join token is spent.
  void Sign(const VerifiedNode& verified, const std::string& token_digest);
  void Keep(const crypto::Certificate& leaf);
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
  std::optional<AttestedNode> attested_;
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
  const std::string digest = JoinToken::DigestOf(token);
  // Before the token is spent, and again when it is.
  if (const absl::Status allowed = CheckJoinToken(state_, digest); !allowed.ok()) {
    if (const JoinToken* expired = state_.tokens.Find(digest); expired != nullptr) {
      state_.changes.Add({.plan = [digest]() -> absl::StatusOr<ChangeQueue::Write> {
                            return [digest](Store& store) { return store.EraseToken(digest); };
                          },
                          .done =
                              [&state = state_, digest](const absl::Status& outcome) {
                                if (outcome.ok()) {
                                  state.tokens.Erase(digest);
                                }
                              }});
    }
    Fail(allowed);
    return;
  }
  Sign({.agent_path = fmt::format("/spire/agent/{}/{}", kJoinToken, token), .can_reattest = false},
       digest);
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
    Sign(*verdict->node, "");
  } else if (!Challenged().Enter(host_, 0).ok()) {
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
    Challenged().Leave(host_, 0);
  }
}

void Attestation::Sign(const VerifiedNode& verified, const std::string& token_digest) {
  absl::StatusOr<SpiffeId> id = SpiffeId::Create(state_.options.trust_domain, verified.agent_path);
  if (!id.ok()) {
    Fail(ApiError(absl::StatusCode::kInternal, "invalid agent ID", id.status()));
    return;
  }
  attested_ = AttestedNode{.node = {.id = *std::move(id),
                                    .attestation_type = type_,
                                    .selectors = Normalized(verified.selectors),
                                    .can_reattest = verified.can_reattest},
                           .only_once = verified.only_once,
                           .token_digest = token_digest};
  for (const std::string& path : verified.twin_paths) {
    if (absl::StatusOr<SpiffeId> twin = SpiffeId::Create(state_.options.trust_domain, path);
        twin.ok()) {
      attested_->twins.push_back(*std::move(twin));
    }
  }
  if (const absl::Status allowed = CheckAttested(state_, *attested_); !allowed.ok()) {
    Fail(allowed);
    return;
  }
  SignAgentSvid(state_, attested_->node.id, csr_,
                IfAlive([this](const absl::StatusOr<crypto::Certificate>& leaf) {
                  if (leaf.ok()) {
                    Keep(*leaf);
                  } else {
                    Fail(leaf.status());
                  }
                }));
}

void Attestation::Keep(const crypto::Certificate& leaf) {
  attested_->node.serial = leaf.serial();
  attested_->node.expires_at = absl::ToUnixSeconds(leaf.not_after());
  RecordAttestation(state_, *attested_, alive_, IfAlive([this, leaf](const absl::Status& outcome) {
                      outcome.ok() ? Reply(leaf) : Fail(outcome);
                    }));
}

void Attestation::Reply(const crypto::Certificate& leaf) {
  step_ = Step::kOver;
  agent::AttestAgentResponse response;
  ToProto(attested_->node.id, leaf, response.mutable_result()->mutable_svid());
  response.mutable_result()->set_reattestable(attested_->node.can_reattest);
  call_.Send(std::make_shared<const rpc::Frame>(response));
  call_.Finish(absl::OkStatus());
}

void Attestation::Fail(const absl::Status& status) {
  step_ = Step::kOver;
  StopAwaitingAnswer();
  if (state_.refusals.MayWrite(host_)) {
    log::Warn(
        "attestation refused",
        {{"caller_addr", call_.peer().address}, {"node_attestor_type", type_}, {"error", status}});
  }
  call_.Finish(status);
}

}  // namespace

std::unique_ptr<rpc::CallHandler> MakeAttestation(State& state, const NodeVerifiers& verifiers,
                                                  rpc::Call& call) {
  return std::make_unique<Attestation>(state, verifiers, call);
}

}  // namespace assay
