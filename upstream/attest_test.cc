// SPDX-License-Identifier: GPL-3.0-or-later
// Attestation, renewal and signing.
#include <gtest/gtest.h>

#include <utility>

#include "base/clock.h"
#include "crypto/issue.h"
#include "spire/api/server/agent/v1/agent.pb.h"
#include "spire/api/server/svid/v1/svid.pb.h"
#include "tests/support/fake_upstream.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"
#include "upstream/upstream.h"

namespace assay {
namespace {

namespace agent = spire::api::server::agent::v1;
namespace svid = spire::api::server::svid::v1;
namespace types = spire::api::types;
using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kAgentId[] = "spiffe://example.org/spire/agent/fake/1";
using AttestAnswer = StreamAnswer<agent::AttestAgentResponse>;

// Answers each challenge with "re:" and the challenge.
class FakeAttestor final : public NodeAttestor {
 public:
  class Attestation final : public NodeAttestation {
   public:
    absl::StatusOr<Secret> Payload() override { return Secret("payload"); }
    absl::StatusOr<std::string> Answer(std::string_view challenge) override {
      if (challenge == "impossible") {
        return InvalidArgument("no such challenge");
      }
      return "re:" + std::string(challenge);
    }
  };
  std::string_view type() const override { return "fake"; }
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override {
    return std::make_unique<Attestation>();
  }
};

AttestAnswer Challenge(std::string challenge) {
  agent::AttestAgentResponse response;
  response.set_challenge(std::move(challenge));
  return {.messages = {response}};
}

class AttestTest : public testing::Test {
 protected:
  AttestTest() : server_(ca_) {
    server_.OnStream<agent::AttestAgentRequest, agent::AttestAgentResponse>(
        "/spire.api.server.agent.v1.Agent/AttestAgent",
        [this](const agent::AttestAgentRequest& request) {
          requests_.push_back(request);
          return answer_(request);
        });
    server_.On<agent::RenewAgentRequest, agent::RenewAgentResponse>(
        "/spire.api.server.agent.v1.Agent/RenewAgent",
        [this](const agent::RenewAgentRequest& request,
               rpc::Call&) -> absl::StatusOr<agent::RenewAgentResponse> {
          agent::RenewAgentResponse response;
          *response.mutable_svid() = Issue(request.params().csr());
          return response;
        });
    server_.On<svid::BatchNewX509SVIDRequest, svid::BatchNewX509SVIDResponse>(
        "/spire.api.server.svid.v1.SVID/BatchNewX509SVID",
        [this](const svid::BatchNewX509SVIDRequest& request, rpc::Call&) { return Sign(request); });
    server_.On<svid::NewJWTSVIDRequest, svid::NewJWTSVIDResponse>(
        "/spire.api.server.svid.v1.SVID/NewJWTSVID",
        [this](const svid::NewJWTSVIDRequest& request,
               rpc::Call&) -> absl::StatusOr<svid::NewJWTSVIDResponse> {
          EXPECT_THAT(request.audience(), ElementsAre("a", "b"));
          svid::NewJWTSVIDResponse response;
          *response.mutable_svid() = jwt_;
          return response;
        });
    server_.Start();
    client_ = MakeUpstream(
        {.addresses = {"127.0.0.1"}, .port = server_.port(), .trust_domain = ca_.trust_domain()},
        clock_);
    client_->SetBundle(ca_.Bundle());
  }

  // An SVID of id_ for the key of a request.
  types::X509SVID Issue(const std::string& csr) const {
    const auto request = crypto::CertificateRequest::Parse(csr);
    EXPECT_OK(request);
    const SpiffeId id = TestId(id_);
    types::X509SVID message;
    message.add_cert_chain(ca_.IssueFor(id, request->public_key).der());
    message.mutable_id()->set_trust_domain(id.trust_domain().name());
    message.mutable_id()->set_path(id.path());
    return message;
  }
  AttestAnswer Result(const std::string& csr, bool reattestable = false) const {
    agent::AttestAgentResponse response;
    *response.mutable_result()->mutable_svid() = Issue(csr);
    response.mutable_result()->set_reattestable(reattestable);
    return {.messages = {response}};
  }
  absl::StatusOr<svid::BatchNewX509SVIDResponse> Sign(
      const svid::BatchNewX509SVIDRequest& request) const {
    svid::BatchNewX509SVIDResponse response;
    for (const auto& params : request.params()) {
      auto& result = *response.add_results();
      if (params.entry_id() == "unknown") {
        result.mutable_status()->set_code(5);
        result.mutable_status()->set_message("entry not found or not authorized");
      } else {
        *result.mutable_svid() = Issue(params.csr());
      }
      if (params.entry_id() == "twice") {
        *response.add_results() = result;
      }
    }
    return response;
  }
  SvidRequest RequestFor(std::string entry_id, const std::string& id) const {
    return {.entry_id = std::move(entry_id),
            .csr = crypto::MakeCertificateRequest(
                       {.subject = {{"C", "US"}}, .uris = {id}, .dns_names = {}}, *key_)
                       .value()};
  }

  absl::StatusOr<AttestationResult> Attest() { return Attest(*key_); }
  absl::StatusOr<AttestationResult> Attest(const crypto::Signer& key) {
    return client_->Attest(attestor_, key, absl::Seconds(30));
  }

  SystemClock clock_;
  const TestCa ca_;
  FakeUpstream server_;
  std::string id_ = kAgentId;
  types::JWTSVID jwt_;
  std::function<AttestAnswer(const agent::AttestAgentRequest&)> answer_;
  std::vector<agent::AttestAgentRequest> requests_;
  const std::unique_ptr<crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  FakeAttestor attestor_;
  std::unique_ptr<Upstream> client_;
};

TEST_F(AttestTest, ThePayloadAndARequestBuyAnSvid) {
  answer_ = [this](const auto& request) { return Result(request.params().params().csr(), true); };
  const auto result = Attest();
  ASSERT_OK(result);
  EXPECT_EQ(result->id.ToString(), kAgentId);
  EXPECT_EQ(result->chain.front().public_key(), key_->public_key());
  EXPECT_TRUE(result->reattestable);
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].params().data().type(), "fake");
  EXPECT_EQ(requests_[0].params().data().payload(), "payload");
  const auto csr = crypto::CertificateRequest::Parse(requests_[0].params().params().csr());
  ASSERT_OK(csr);
  EXPECT_OK(csr->self_signature);
  EXPECT_TRUE(csr->uris.empty());
  EXPECT_THAT(csr->subject, ElementsAre(std::pair("C", "US"), std::pair("O", "SPIRE")));
}

TEST_F(AttestTest, ChallengesAreAnsweredEmptyOnesIncluded) {
  answer_ = [this](const auto&) {
    const size_t round = requests_.size();
    return round == 1   ? Challenge("first")
           : round == 2 ? Challenge("")
                        : Result(requests_[0].params().params().csr());
  };
  ASSERT_OK(Attest());
  ASSERT_EQ(requests_.size(), 3u);
  EXPECT_EQ(requests_[1].challenge_response(), "re:first");
  EXPECT_EQ(requests_[2].challenge_response(), "re:");
}

TEST_F(AttestTest, IsAnonymousOnAConnectionOfItsOwn) {
  answer_ = [this](const auto& request) { return Result(request.params().params().csr()); };
  client_->SetSvid(ca_.IssueSvid(TestId(kAgentId)));
  ASSERT_OK(client_->Renew(*key_));
  ASSERT_OK(Attest());
  EXPECT_THAT(server_.callers(), ElementsAre(kAgentId, ""));
  EXPECT_NE(server_.connections()[0], server_.connections()[1]);
}

TEST_F(AttestTest, ARefusalIsTheUpstreams) {
  answer_ = [](const auto&) {
    return AttestAnswer{.messages = {},
                        .finish = PermissionDenied("failed to attest: agent is banned")};
  };
  const absl::Status why = Attest().status();
  EXPECT_EQ(RefusalOf(why), Refusal::kBanned) << "though it says so in words alone";
  EXPECT_EQ(absl::Status(why.code(), why.message()),
            PermissionDenied("failed to attest: agent is banned"));
}

TEST_F(AttestTest, AnEndWithoutAResultIsAnError) {
  answer_ = [](const auto&) { return AttestAnswer{.messages = {}, .finish = absl::OkStatus()}; };
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kInternal, HasSubstr("ended the call")));
  answer_ = [](const auto&) { return AttestAnswer{.messages = {agent::AttestAgentResponse()}}; };
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kInternal, HasSubstr("neither a result")));
}

TEST_F(AttestTest, TheAttestorsErrorEndsTheCall) {
  answer_ = [](const auto&) { return Challenge("impossible"); };
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("no such challenge")));
}

TEST_F(AttestTest, ChallengesDoNotGoOnForEver) {
  answer_ = [](const auto&) { return Challenge("again"); };
  EXPECT_THAT(Attest(), StatusIs(StatusCode::kInternal, HasSubstr("fake")));
  EXPECT_LT(requests_.size(), 20u);
}

TEST_F(AttestTest, AnSvidOfAnotherKeyOrKindIsRefused) {
  answer_ = [this](const auto&) { return Result(RequestFor("", "spiffe://example.org/x").csr); };
  const auto other_key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  EXPECT_THAT(Attest(*other_key), StatusIs(StatusCode::kInternal, HasSubstr("another key")));
  for (const char* id : {"spiffe://example.org/workload", "spiffe://other.test/spire/agent/x"}) {
    id_ = id;
    EXPECT_THAT(Attest(), StatusIs(StatusCode::kInternal, HasSubstr("no agent of example.org")));
  }
}

TEST_F(AttestTest, ARenewedSvidIsOfTheSameAgent) {
  client_->SetSvid(ca_.IssueSvid(TestId(kAgentId)));
  const auto renewed = client_->Renew(*key_);
  ASSERT_OK(renewed);
  EXPECT_EQ(renewed->chain.front().public_key(), key_->public_key());
  id_ = "spiffe://example.org/spire/agent/fake/2";
  EXPECT_THAT(client_->Renew(*key_), StatusIs(StatusCode::kInternal, HasSubstr("wanted")));
}

TEST_F(AttestTest, SvidsComeInTheOrderOfTheirRequests) {
  id_ = "spiffe://example.org/w";
  const auto results = client_->SignX509Svids(
      {RequestFor("1", id_), RequestFor("unknown", id_), RequestFor("3", id_)});
  ASSERT_OK(results);
  ASSERT_EQ(results->size(), 3u);
  EXPECT_OK((*results)[0].status);
  EXPECT_EQ((*results)[0].chain.front().uris().front(), id_);
  EXPECT_EQ((*results)[1].status, NotFound("entry not found or not authorized"));
  EXPECT_TRUE((*results)[1].chain.empty());
  EXPECT_OK((*results)[2].status);
}

// X509-01, ID-24
TEST_F(AttestTest, AnSvidThatWasNotAskedForIsRefused) {
  id_ = "spiffe://example.org/w";
  const auto results = client_->SignX509Svids({RequestFor("1", "spiffe://example.org/other")});
  ASSERT_OK(results);
  EXPECT_THAT((*results)[0].status, StatusIs(StatusCode::kInternal, HasSubstr("wanted")));
  EXPECT_TRUE((*results)[0].chain.empty());
}

TEST_F(AttestTest, ResultsThatDoNotMatchTheirRequestsAreAnError) {
  id_ = "spiffe://example.org/w";
  EXPECT_THAT(client_->SignX509Svids({RequestFor("twice", id_)}),
              StatusIs(StatusCode::kInternal, HasSubstr("answered 2 svids, 1 were asked for")));
}

TEST_F(AttestTest, ABatchHasOneTo500Requests) {
  EXPECT_THAT(client_->SignX509Svids({}), StatusIs(StatusCode::kInvalidArgument, HasSubstr("0")));
  EXPECT_THAT(client_->SignX509Svids(std::vector<SvidRequest>(501)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("501")));
  const auto results =
      client_->SignX509Svids(std::vector<SvidRequest>(500, {.entry_id = "unknown", .csr = "x"}));
  ASSERT_OK(results);
  EXPECT_EQ(results->size(), 500u);
}

TEST_F(AttestTest, MintsJwtSvids) {
  jwt_.set_token("token");
  jwt_.mutable_id()->set_trust_domain("example.org");
  jwt_.mutable_id()->set_path("/w");
  jwt_.set_issued_at(100);
  jwt_.set_expires_at(400);
  const auto minted = client_->MintJwtSvid("entry", {"a", "b"});
  ASSERT_OK(minted);
  EXPECT_EQ(minted->token.Reveal(), "token");
  EXPECT_EQ(minted->id.ToString(), "spiffe://example.org/w");
  EXPECT_EQ(minted->issued_at, absl::FromUnixSeconds(100));
  EXPECT_EQ(minted->expires_at, absl::FromUnixSeconds(400));
}

TEST_F(AttestTest, RefusesJwtSvidsThatMakeNoSense) {
  types::JWTSVID good;
  good.set_token("token");
  good.mutable_id()->set_trust_domain("example.org");
  good.set_issued_at(100);
  good.set_expires_at(400);
  const std::function<void(types::JWTSVID&)> kBreaks[] = {
      [](auto& jwt) { jwt.clear_token(); }, [](auto& jwt) { jwt.clear_issued_at(); },
      [](auto& jwt) { jwt.set_expires_at(99); }, [](auto& jwt) { jwt.clear_id(); },
      [](auto& jwt) { jwt.mutable_id()->set_trust_domain("other.test"); }};
  for (const auto& break_it : kBreaks) {
    jwt_ = good;
    break_it(jwt_);
    EXPECT_FALSE(client_->MintJwtSvid("entry", {"a", "b"}).ok()) << jwt_.ShortDebugString();
  }
}

}  // namespace
}  // namespace assay
