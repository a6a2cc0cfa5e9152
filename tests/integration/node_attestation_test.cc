// SPDX-License-Identifier: GPL-3.0-or-later
// Nodes that prove themselves to the embedded authority by the agent's own attestors: what counts
// besides the proof.
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>

#include "attestors/node/http_challenge.h"
#include "attestors/node/x509pop.h"
#include "base/files.h"
#include "crypto/pem.h"
#include "crypto/signature_twins.h"
#include "google/protobuf/empty.pb.h"
#include "rpc/listen_socket.h"
#include "tests/integration/running_authority.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

namespace agent = spire::api::server::agent::v1;

constexpr absl::Duration kPatience = absl::Minutes(1);

using absl::StatusCode;
using testing::HasSubstr;

class NodeAttestationTest : public testing::Test {
 protected:
  void Start(const NodeVerifierOptions& verifiers) {
    AuthorityOptions options = RunningAuthority::DefaultOptions(folder_);
    options.node_verifiers = verifiers;
    authority_ = std::make_unique<RunningAuthority>(options);
  }
  void StartHttpChallenge(const NodeVerifierOptions::HttpChallenge& options) {
    Start({.http_challenge = options});
  }
  // As an agent of its own.
  absl::StatusOr<AttestationResult> Attest(NodeAttestor& attestor) const {
    return authority_->Agent()->Attest(attestor, *key_, kPatience);
  }
  template <typename Request>
  void Do(grpc::Status (agent::Agent::Stub::*method)(grpc::ClientContext*, const Request&,
                                                     google::protobuf::Empty*),
          const SpiffeId& id) const {
    Request request;
    request.mutable_id()->set_trust_domain(id.trust_domain().name());
    request.mutable_id()->set_path(id.path());
    google::protobuf::Empty empty;
    grpc::ClientContext context;
    const auto stub = agent::Agent::NewStub(authority_->Operator());
    EXPECT_TRUE((*stub.*method)(&context, request, &empty).ok());
  }

  const TempFolder folder_;
  const std::unique_ptr<crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  std::unique_ptr<RunningAuthority> authority_;
};

// The twin of a certificate has another digest, and so another SPIFFE ID.
TEST_F(NodeAttestationTest, ABanIsOfACertificateAndItsTwin) {
  const TestCa root;
  const std::string path = folder_.path() + "/ca.pem";
  ASSERT_OK(
      WriteFileAtomically(path, crypto::PemEncode("CERTIFICATE", root.certificate().der()), 0600));
  Start({.x509pop = NodeVerifierOptions::X509Pop{.ca_bundle_paths = {path}}});
  const X509Svid shown = root.IssueSvid(TestId("spiffe://example.org/node"));
  X509PopIdentity identity{shown.chain, shown.key};
  X509PopAttestor attestor([&identity] { return identity; });
  const auto first = Attest(attestor);
  ASSERT_OK(first);
  Do(&agent::Agent::Stub::BanAgent, first->id);
  for (const std::string& der : crypto::TwinsOf(shown.chain[0])) {
    identity.chain[0] = crypto::Certificate::Parse(der).value();
    if (identity.chain[0].VerifySignedBy(root.key().public_key()).ok()) {
      EXPECT_THAT(Attest(attestor),
                  StatusIs(StatusCode::kPermissionDenied, HasSubstr("agent is banned")));
    }
  }
  EXPECT_NE(identity.chain[0], shown.chain[0]);
}

// Trust on first use: who comes second may be anybody that the name has come to lead to.
TEST_F(NodeAttestationTest, AttestsAHostByHttpOnce) {
  StartHttpChallenge({.allow_local_addresses = true});
  HttpChallengeAttestor attestor({.hostname = "127.0.0.1"});
  const auto first = Attest(attestor);
  ASSERT_OK(first);
  EXPECT_EQ(first->id.path(), "/spire/agent/http_challenge/127.0.0.1");
  EXPECT_FALSE(first->reattestable);
  EXPECT_THAT(Attest(attestor),
              StatusIs(StatusCode::kPermissionDenied,
                       HasSubstr("nodeattestor(http_challenge): attestation data has already been "
                                 "used to attest an agent")));
  Do(&agent::Agent::Stub::DeleteAgent, first->id);
  EXPECT_OK(Attest(attestor));
}

TEST_F(NodeAttestationTest, AsksNoHostThatIsThisMachine) {
  StartHttpChallenge({});
  HttpChallengeAttestor attestor({.hostname = "127.0.0.1"});
  EXPECT_THAT(Attest(attestor), StatusIs(StatusCode::kPermissionDenied,
                                         HasSubstr("the nonce was not found at the host's name")));
}

// A host that answers nothing, of which a node says that it is its name.
TEST_F(NodeAttestationTest, AHostThatIsSilentHoldsUpNeitherOthersNorTheEnd) {
  StartHttpChallenge({.allow_local_addresses = true});
  const UniqueFd silent = rpc::ListenTcp("127.0.0.1", 0).value();
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ASSERT_EQ(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  HttpChallengeAttestor attestor(
      {.hostname = "127.0.0.1", .advertised_port = ntohs(address.sin_port)});
  std::thread waiting([&] { EXPECT_FALSE(Attest(attestor).ok()); });
  // Until it is asked.
  pollfd asked{.fd = silent.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&asked, 1, 10'000), 1);
  EXPECT_THAT(Attest(attestor),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("is being asked already")));
  HttpChallengeAttestor other({.hostname = "127.0.0.2"});
  EXPECT_OK(Attest(other));
  const absl::Time before = absl::Now();
  authority_.reset();
  EXPECT_LT(absl::Now() - before, absl::Seconds(5));
  waiting.join();
}

}  // namespace
}  // namespace assay
