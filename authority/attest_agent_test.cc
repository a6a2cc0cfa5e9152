// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/attest_agent.h"

#include <gmock/gmock.h>

#include "authority/ca_rotation.h"
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
  explicit FakeVerifier(const Verdict& verdict) : verdict_(verdict) {}
  std::unique_ptr<NodeVerification> Start() const override {
    class Verification final : public NodeVerification {
     public:
      explicit Verification(Verdict verdict) : verdict_(std::move(verdict)) {}
      absl::StatusOr<Verdict> Begin(std::string_view, absl::Time) override { return verdict_; }
      absl::StatusOr<Verdict> Answer(std::string_view) override {
        return Verdict{.challenge = std::nullopt, .node = VerifiedNode{"/spire/agent/fake/answer"}};
      }

     private:
      const Verdict verdict_;
    };
    return std::make_unique<Verification>(verdict_);
  }

 private:
  const Verdict& verdict_;
};

class AttestAgentTest : public testing::Test {
 protected:
  AttestAgentTest() {
    AuthorityOptions options{.trust_domain = kDomain};
    options.data_dir = folder_.path();
    state_ = State::Open(options, clock_, *loop_).value();
    EXPECT_OK(CaRotation(*state_).Settle());
    verifiers_.emplace("fake", std::make_unique<FakeVerifier>(verdict_));
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
  static void Answer(Made& made) {
    agent::AttestAgentRequest request;
    request.set_challenge_response("response");
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
  std::unique_ptr<State> state_;
  Verdict verdict_ = {.challenge = std::nullopt, .node = VerifiedNode{"/spire/agent/fake/a"}};
  NodeVerifiers verifiers_;
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

}  // namespace
}  // namespace assay
