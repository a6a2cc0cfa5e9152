// SPDX-License-Identifier: GPL-3.0-or-later
// Nodes that prove themselves to the embedded authority by the agent's own attestors: what counts
// besides the proof.
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>

#include "attestors/node/devid_provision.h"
#include "attestors/node/http_challenge.h"
#include "attestors/node/tpm_devid.h"
#include "attestors/node/x509pop.h"
#include "base/files.h"
#include "crypto/pem.h"
#include "crypto/signature_twins.h"
#include "google/protobuf/empty.pb.h"
#include "rpc/listen_socket.h"
#include "tests/integration/running_authority.h"
#include "tests/support/software_tpm.h"
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

  std::string WriteCa(const TestCa& ca) const {
    const std::string path = folder_.path() + "/ca.pem";
    EXPECT_OK(
        WriteFileAtomically(path, crypto::PemEncode("CERTIFICATE", ca.certificate().der()), 0600));
    return path;
  }
  // The other certificate of the same contents that this authority's key verifies.
  static crypto::Certificate TwinOf(const crypto::Certificate& shown, const TestCa& ca) {
    std::vector<crypto::Certificate> valid;
    for (const std::string& der : crypto::TwinsOf(shown)) {
      crypto::Certificate twin = crypto::Certificate::Parse(der).value();
      if (twin.VerifySignedBy(ca.key().public_key()).ok()) {
        valid.push_back(std::move(twin));
      }
    }
    EXPECT_EQ(valid.size(), 1u);
    return valid.front();
  }
  // That who has attested is no second agent by its twin, nor comes back by it after a ban.
  void ExpectOneAgent(NodeAttestor& attestor, NodeAttestor& twin) const {
    const auto first = Attest(attestor);
    ASSERT_OK(first);
    EXPECT_THAT(Attest(twin), StatusIs(StatusCode::kPermissionDenied,
                                       HasSubstr("known as \"" + first->id.ToString())));
    Do(&agent::Agent::Stub::BanAgent, first->id);
    EXPECT_THAT(Attest(twin),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("agent is banned")));
  }

  const TempFolder folder_;
  const std::unique_ptr<crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  std::unique_ptr<RunningAuthority> authority_;
};

// The twin of a certificate has another digest, and so another SPIFFE ID.
TEST_F(NodeAttestationTest, ABanIsOfACertificateAndItsTwin) {
  const TestCa root;
  Start({.x509pop = NodeVerifierOptions::X509Pop{.ca_bundle_paths = {WriteCa(root)}}});
  const X509Svid shown = root.IssueSvid(TestId("spiffe://example.org/node"));
  const X509PopIdentity twin{{TwinOf(shown.chain[0], root)}, shown.key};
  X509PopAttestor attestor([&] { return X509PopIdentity{shown.chain, shown.key}; });
  X509PopAttestor other([&] { return twin; });
  ExpectOneAgent(attestor, other);
}

TEST_F(NodeAttestationTest, ABanIsOfADevIdAndItsTwin) {
  ASSAY_SOFTWARE_TPM(software);
  const TestCa root;
  Start({.tpm_devid = NodeVerifierOptions::TpmDevId{
             .devid_ca_path = WriteCa(root), .endorsement_ca_path = SoftwareTpm::EndorsementCa()}});
  const DevIdFiles files = DevIdFiles::In(folder_.path() + "/devid");
  {
    const auto provisioning = tpm::Tpm::Open({.device = software->socket()}).value();
    ASSERT_OK(CreateDevIdKey(*provisioning, {.folder = folder_.path() + "/devid",
                                             .key_type = crypto::KeyType::kEcP256,
                                             .common_name = "node",
                                             .passwords = {}}));
  }
  const std::string request = ReadFile(files.request).value();
  const crypto::Certificate shown =
      root.IssueFor(TestId("spiffe://example.org/node"),
                    crypto::CertificateRequest::Parse(crypto::ParsePem(request).value().front().der)
                        .value()
                        .public_key);
  // Which takes one caller at a time.
  const auto tpm = std::make_shared<tpm::LazyTpm>(tpm::Tpm::Options{.device = software->socket()});
  const auto make = [&](const crypto::Certificate& certificate) {
    const std::string path = folder_.path() + "/certificate.pem";
    EXPECT_OK(WriteFileAtomically(path, crypto::PemEncode("CERTIFICATE", certificate.der()), 0600));
    return TpmDevIdAttestor::Create({.tpm = tpm,
                                     .devid_cert_path = path,
                                     .devid_priv_path = files.private_blob,
                                     .devid_pub_path = files.public_blob,
                                     .devid_password = {},
                                     .owner_hierarchy_password = {},
                                     .endorsement_hierarchy_password = {},
                                     .ak_cache_path = folder_.path() + "/ak"})
        .value();
  };
  const auto attestor = make(shown), other = make(TwinOf(shown, root));
  ExpectOneAgent(*attestor, *other);
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
