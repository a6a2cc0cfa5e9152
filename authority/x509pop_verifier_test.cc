// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/x509pop_verifier.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "crypto/der_reader.h"
#include "crypto/digest.h"
#include "crypto/issue.h"
#include "crypto/json_object.h"
#include "crypto/pem.h"
#include "crypto/signature_twins.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::Base64Encode;
using crypto::Certificate;
using crypto::KeyType;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = crypto::SignatureScheme::Kind;

std::string Print(const Certificate& certificate) {
  return crypto::HexEncode(crypto::Digest(crypto::Hash::kSha1, certificate.der()));
}

// A node with a certificate below an intermediate of the trusted authority.
struct PopNode {
  explicit PopNode(const TestCa& root, KeyType type = KeyType::kEcP256,
                   unsigned usage = crypto::kDigitalSignature)
      : between(TestCa::Under(root)), key(crypto::PrivateKey::Generate(type).value()) {
    const crypto::CertificateTemplate what{
        .serial = "\x01\x0f",
        .subject = {{"CN", "node 1"}},
        .not_before = absl::Now() - absl::Hours(1),
        .not_after = absl::Now() + absl::Hours(1),
        .uris = {"x509pop://example.org/env/prod/eu%2Fwest", "x509pop://other.test/a/b",
                 "x509pop://example.org/alone", "https://example.org/x/y"},
        .dns_names = {},
        .is_ca = false,
        .key_usage = usage,
        .extended_key_usage = {}};
    leaf = Certificate::Parse(crypto::IssueCertificate(what, key->public_key(),
                                                       &between.certificate(), between.key())
                                  .value())
               .value();
  }
  std::string Payload() const {
    return fmt::format(R"({{"certificates":["{}","{}"]}})", Base64Encode(leaf->der()),
                       Base64Encode(between.certificate().der()));
  }
  std::string Answer(std::string_view challenge,
                     std::string_view own = std::string(32, 'o')) const {
    const bool is_rsa = key->public_key().is_rsa();
    const auto json = crypto::JsonObject::Parse(challenge, 4096).value();
    const std::string asked =
        json.Object(is_rsa ? "rsa_signature" : "ecdsa_signature")->Bytes("nonce").value();
    const std::string signature =
        crypto::Sign(*key, {is_rsa ? Kind::kRsaPss : Kind::kEcdsa, crypto::Hash::kSha256},
                     asked + std::string(own))
            .value();
    if (is_rsa) {
      return fmt::format(R"({{"rsa_signature":{{"nonce":"{}","signature":"{}"}}}})",
                         Base64Encode(own), Base64Encode(signature));
    }
    crypto::DerReader outer(signature);
    crypto::DerReader parts = outer.Enter(crypto::kDerSequence, "").value();
    const std::string r = Base64Encode(parts.ReadUnsigned("").value());
    const std::string s = Base64Encode(parts.ReadUnsigned("").value());
    return fmt::format(R"({{"ecdsa_signature":{{"nonce":"{}","r":"{}","s":"{}"}}}})",
                       Base64Encode(own), r, s);
  }

  TestCa between;
  std::unique_ptr<crypto::PrivateKey> key;
  std::optional<Certificate> leaf;
};

class X509PopVerifierTest : public testing::Test {
 protected:
  X509PopVerifierTest() {
    options_.ca_bundle_paths = {folder_.path() + "/ca.pem"};
    EXPECT_OK(WriteFileAtomically(options_.ca_bundle_paths[0],
                                  crypto::PemEncode("CERTIFICATE", root_.certificate().der()),
                                  0600));
  }
  std::unique_ptr<NodeVerification> Start() const {
    return MakeX509PopVerifier(options_, root_.trust_domain()).value()->Start();
  }
  absl::StatusOr<NodeVerification::Verdict> Begin(std::string_view payload) const {
    return Start()->Begin(payload, absl::Now());
  }

  const TempFolder folder_;
  const TestCa root_;
  NodeVerifierOptions::X509Pop options_;
};

TEST_F(X509PopVerifierTest, ProvesANodeByItsCertificateAndKey) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    const PopNode node(root_, type);
    const auto verification = Start();
    const auto begun = verification->Begin(node.Payload(), absl::Now());
    ASSERT_OK(begun);
    ASSERT_TRUE(begun->challenge.has_value());
    const auto verdict = verification->Answer(node.Answer(*begun->challenge));
    ASSERT_OK(verdict);
    EXPECT_EQ(verdict->node->agent_path, "/spire/agent/x509pop/" + Print(*node.leaf));
    EXPECT_TRUE(verdict->node->can_reattest);
    std::vector<std::string> selectors;
    for (const Selector& selector : verdict->node->selectors) {
      EXPECT_EQ(selector.type, "x509pop");
      selectors.push_back(selector.value);
    }
    EXPECT_THAT(selectors, ElementsAre("subject:cn:node 1",
                                       "ca:fingerprint:" + Print(node.between.certificate()),
                                       "ca:fingerprint:" + Print(root_.certificate()),
                                       "serialnumber:010f", "san:env:prod/eu/west"));
  }
}

// A ban of one is a ban of the other.
TEST_F(X509PopVerifierTest, TellsUnderWhichPathsTheSameCertificateCouldBeShown) {
  const PopNode node(root_);
  const auto prove = [&](const Certificate& shown) {
    const auto verification = Start();
    const std::string payload =
        fmt::format(R"({{"certificates":["{}","{}"]}})", Base64Encode(shown.der()),
                    Base64Encode(node.between.certificate().der()));
    const auto begun = verification->Begin(payload, absl::Now());
    return *verification->Answer(node.Answer(*begun->challenge))->node;
  };
  const VerifiedNode proved = prove(*node.leaf);
  int valid = 0;
  for (const std::string& der : crypto::TwinsOf(*node.leaf)) {
    const Certificate twin = Certificate::Parse(der).value();
    EXPECT_THAT(proved.twin_paths, Contains("/spire/agent/x509pop/" + Print(twin)));
    if (twin.VerifySignedBy(node.between.certificate().public_key()).ok()) {
      ++valid;
      EXPECT_THAT(prove(twin).twin_paths, Contains(proved.agent_path));
    }
  }
  EXPECT_EQ(valid, 1);
}

TEST_F(X509PopVerifierTest, NamesAgentsByTheTemplate) {
  options_.agent_path_template = "/pop/{{ .TrustDomain }}/{{ .SerialNumberHex }}";
  const PopNode node(root_);
  const auto verification = Start();
  const auto begun = verification->Begin(node.Payload(), absl::Now());
  ASSERT_OK(begun);
  EXPECT_EQ(verification->Answer(node.Answer(*begun->challenge))->node->agent_path,
            "/spire/agent/pop/example.org/010f");
}

TEST_F(X509PopVerifierTest, RefusesACertificateThatNobodyTrustedSigned) {
  const PopNode stranger{TestCa()};
  EXPECT_THAT(Begin(stranger.Payload()), StatusIs(StatusCode::kPermissionDenied,
                                                  HasSubstr("certificate verification failed: ")));
  const PopNode node(root_);
  EXPECT_THAT(Start()->Begin(node.Payload(), absl::Now() + absl::Hours(2)),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("expired")));
}

TEST_F(X509PopVerifierTest, RefusesAKeyThatMayNotSign) {
  const PopNode node(root_, KeyType::kEcP256, crypto::kKeyAgreement);
  EXPECT_THAT(Begin(node.Payload()),
              StatusIs(StatusCode::kInternal, HasSubstr("not intended for digital signature")));
}

TEST_F(X509PopVerifierTest, RefusesTheSignatureOfAnotherKeyOrOfAnotherNonce) {
  const PopNode node(root_), other(root_);
  for (const PopNode* signer : {&node, &other}) {
    const auto verification = Start();
    const auto begun = verification->Begin(node.Payload(), absl::Now());
    ASSERT_OK(begun);
    const auto again = Start()->Begin(node.Payload(), absl::Now());
    const std::string answer =
        signer->Answer(signer == &node ? *again->challenge : *begun->challenge);
    EXPECT_THAT(verification->Answer(answer),
                StatusIs(StatusCode::kPermissionDenied,
                         HasSubstr("challenge response verification failed: ")));
  }
}

TEST_F(X509PopVerifierTest, RefusesMalformedAnswers) {
  const PopNode node(root_);
  const auto verification = Start();
  const auto begun = verification->Begin(node.Payload(), absl::Now());
  ASSERT_OK(begun);
  EXPECT_THAT(verification->Answer("x"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("unmarshal challenge response")));
  EXPECT_THAT(verification->Answer("{}"),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("expecting ECDSA response")));
  EXPECT_THAT(verification->Answer(node.Answer(*begun->challenge, "short")),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("invalid response nonce")));
}

TEST_F(X509PopVerifierTest, RefusesMalformedPayloads) {
  const PopNode node(root_);
  const std::string leaf = Base64Encode(node.leaf->der());
  std::string many = fmt::format(R"({{"certificates":["{}")", leaf);
  for (int i = 0; i < 5; ++i) {
    many += fmt::format(R"(,"{}")", leaf);
  }
  const std::pair<std::string, std::string_view> cases[] = {
      {"", "failed to unmarshal data"},
      {"{}", "no certificate to attest"},
      {R"({"certificates":[]})", "no certificate to attest"},
      {R"({"certificates":["AAAA"]})", "unable to parse leaf certificate"},
      {fmt::format(R"({{"certificates":["{}","AAAA"]}})", leaf),
       "unable to parse intermediate certificate 0"},
      {many + "]}", "too many intermediate certificates"}};
  for (const auto& [payload, words] : cases) {
    EXPECT_THAT(Begin(payload), StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)));
  }
  options_.max_rsa_key_size = 2047;
  EXPECT_THAT(Begin(PopNode(root_, KeyType::kRsa2048).Payload()),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("key size too large")));
}

TEST_F(X509PopVerifierTest, NamesTheFileThatItCannotRead) {
  options_.ca_bundle_paths = {folder_.path() + "/absent"};
  EXPECT_THAT(MakeX509PopVerifier(options_, root_.trust_domain()),
              StatusIs(StatusCode::kNotFound, HasSubstr("/absent")));
}

}  // namespace
}  // namespace assay
