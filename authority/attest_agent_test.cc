// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/attest_agent.h"

#include <gmock/gmock.h>

#include "authority/ca_rotation.h"
#include "base/mutex.h"
#include "crypto/issue.h"
#include "spire/api/server/agent/v1/agent.pb.h"
#include "tests/support/fake_call.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

namespace agent = spire::api::server::agent::v1;

using absl::StatusCode;
using testing::HasSubstr;
using Verdict = NodeVerification::Verdict;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();
SpiffeId Id(std::string_view path) { return SpiffeId::Create(kDomain, path).value(); }

// Judges as it is told.
class FakeVerifier final : public NodeVerifier {
 public:
  // Not while the gate is locked.
  FakeVerifier(const Verdict& verdict, Mutex& gate) : verdict_(verdict), gate_(gate) {}
  std::unique_ptr<NodeVerification> Start() const override {
    class Verification final : public NodeVerification {
     public:
      Verification(Verdict verdict, Mutex& gate) : verdict_(std::move(verdict)), gate_(gate) {}
      absl::StatusOr<Verdict> Begin(std::string_view, absl::Time) override {
        const MutexLock lock(gate_);
        return verdict_;
      }
      absl::StatusOr<Verdict> Answer(std::string_view) override {
        return Verdict{.challenge = std::nullopt, .node = VerifiedNode{"/spire/agent/fake/answer"}};
      }

     private:
      const Verdict verdict_;
      Mutex& gate_;
    };
    return std::make_unique<Verification>(verdict_, gate_);
  }

 private:
  const Verdict& verdict_;
  Mutex& gate_;
};

class AttestAgentTest : public testing::Test {
 protected:
  AttestAgentTest() {
    AuthorityOptions options{.trust_domain = kDomain};
    options.data_dir = folder_.path();
    state_ = State::Open(options, clock_, *loop_).value();
    EXPECT_OK(CaRotation(*state_).Settle());
    verifiers_.emplace("fake", std::make_unique<FakeVerifier>(verdict_, gate_));
    const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
    csr_ =
        crypto::MakeCertificateRequest({.subject = {}, .uris = {}, .dns_names = {}}, *key).value();
  }

  // One attestation of a node at an address.
  struct Made {
    FakeCall call;
    std::unique_ptr<rpc::CallHandler> handler;
  };
  std::unique_ptr<Made> Begin(std::string_view host = "10.0.0.1") {
    auto made = std::make_unique<Made>();
    made->call.peer().address = fmt::format("{}:1", host);
    made->handler = MakeAttestation(*state_, verifiers_, made->call);
    agent::AttestAgentRequest request;
    request.mutable_params()->mutable_data()->set_type("fake");
    request.mutable_params()->mutable_data()->set_payload("payload");
    request.mutable_params()->mutable_params()->set_csr(csr_);
    made->handler->OnMessage(request.SerializeAsString());
    return made;
  }
  static void Answer(Made& made, const std::string& response = "response") {
    agent::AttestAgentRequest request;
    request.set_challenge_response(response);
    made.handler->OnMessage(request.SerializeAsString());
  }
  // Until it is over, or its node owes an answer.
  void Await(const Made& made, size_t messages = 1) {
    while (!made.call.outcome.has_value() && made.call.sent.size() < messages) {
      loop_->RunOnce(absl::Seconds(10));
    }
  }
  absl::Status Attest() {
    const auto made = Begin();
    Await(*made);
    return made->call.outcome.value_or(Internal("challenged"));
  }

  const TempFolder folder_;
  FakeClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  Verdict verdict_ = {.challenge = std::nullopt, .node = VerifiedNode{"/spire/agent/fake/a"}};
  Mutex gate_;
  NodeVerifiers verifiers_;
  std::unique_ptr<State> state_;
  std::string csr_;
};

TEST_F(AttestAgentTest, ANodeThatIsKnownByItsTwinIsRefused) {
  verdict_.node->twin_paths = {"/spire/agent/fake/none", "/spire/agent/fake/twin"};
  EXPECT_OK(Attest());
  state_->nodes.Put({.id = Id("/spire/agent/fake/twin"), .serial = "1"});
  EXPECT_THAT(Attest(),
              StatusIs(StatusCode::kPermissionDenied,
                       HasSubstr("known as \"spiffe://example.org/spire/agent/fake/twin\"")));
  state_->nodes.Put({.id = Id("/spire/agent/fake/twin")});
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kPermissionDenied, HasSubstr("agent is banned")));
}

// As of templates of paths that have nothing of the certificate's bytes.
TEST_F(AttestAgentTest, ATwinOfTheSamePathIsTheNodeItself) {
  verdict_.node->twin_paths = {verdict_.node->agent_path};
  EXPECT_OK(Attest());
  EXPECT_OK(Attest());
}

TEST_F(AttestAgentTest, RefusesWhatNoNodeNeedsToSend) {
  verdict_.challenge = "challenge";
  const auto made = Begin();
  Await(*made);
  Answer(*made, std::string((16 << 10) + 1, 'x'));
  EXPECT_THAT(*made->call.outcome, StatusIs(StatusCode::kInvalidArgument,
                                            HasSubstr("challenge response of 16385 bytes")));
  csr_ = std::string((8 << 10) + 1, 'x');
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("CSR of 8193 bytes")));
}

TEST_F(AttestAgentTest, FewNodesOfOneHostOweAnAnswer) {
  verdict_.challenge = "challenge";
  std::vector<std::unique_ptr<Made>> open;
  for (int i = 0; i < 64; ++i) {
    open.push_back(Begin());
    Await(*open.back());
    EXPECT_FALSE(open.back()->call.outcome.has_value());
  }
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kResourceExhausted, HasSubstr("too many nodes")));
  const auto other = Begin("10.0.0.2");
  Await(*other);
  EXPECT_FALSE(other->call.outcome.has_value());
  // Who has answered, and who is gone, owes none.
  Answer(*open[0]);
  Await(*open[0], 2);
  EXPECT_OK(*open[0]->call.outcome);
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kInternal, "challenged"));
  open.pop_back();
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kInternal, "challenged"));
}

TEST_F(AttestAgentTest, AHostHoldsUpNeitherOthersNorWhoWasChallenged) {
  verdict_.challenge = "challenge";
  const auto challenged = Begin();
  Await(*challenged);
  std::vector<std::unique_ptr<Made>> waiting;
  {
    const MutexLock lock(gate_);
    for (int host = 1; host <= 4; ++host) {
      for (int i = 0; i < 16; ++i) {
        waiting.push_back(Begin(fmt::format("10.0.1.{}", host)));
        EXPECT_FALSE(waiting.back()->call.outcome.has_value());
      }
      EXPECT_THAT(Begin("10.0.1.1")->call.outcome,
                  testing::Optional(StatusIs(StatusCode::kResourceExhausted, testing::_)));
    }
    EXPECT_TRUE(Begin("10.0.1.9")->call.outcome.has_value());
    Answer(*challenged);
    EXPECT_FALSE(challenged->call.outcome.has_value());
  }
  Await(*challenged, 2);
  EXPECT_OK(*challenged->call.outcome);
  for (const auto& made : waiting) {
    Await(*made);
    EXPECT_FALSE(made->call.outcome.has_value());
  }
}

// The state has threads for such work only when a verifier of the options needs them.
TEST_F(AttestAgentTest, RefusesToAskAMachineWithoutThreadsForIt) {
  verdict_.challenge = "challenge";
  verdict_.asks = "node1";
  const auto made = Begin();
  Await(*made);
  Answer(*made);
  EXPECT_THAT(*made->call.outcome, StatusIs(StatusCode::kInternal, HasSubstr("asks \"node1\"")));
}

}  // namespace
}  // namespace assay
