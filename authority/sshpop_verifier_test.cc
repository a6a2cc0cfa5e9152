// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/sshpop_verifier.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/json_object.h"
#include "crypto/signature_twins.h"
#include "crypto/ssh_certificate.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::Base64Encode;
using crypto::SshPrivateKey;
using testing::Contains;
using testing::HasSubstr;

class SshPopVerifierTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v ssh-keygen >/dev/null") != 0) {
      GTEST_SKIP() << "ssh-keygen is not on the path";
    }
    for (const char* name : {"host", "ca"}) {
      Keygen(fmt::format("-t ecdsa -b 256 -N '' -f {}", Path(name)));
    }
    Keygen(fmt::format("-s {} -I id -h -n node1.example.org {}", Path("ca"), Path("host.pub")));
    options_.cert_authorities_path = Path("ca.pub");
    key_ = SshPrivateKey::ParsePem(ReadSecretFile(Path("host")).value()).value();
    blob_ = crypto::SshCertificate::ParseLine(ReadFile(Path("host-cert.pub")).value())->blob();
  }
  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", folder_.path(), name);
  }
  void Keygen(const std::string& arguments) const {
    ASSERT_EQ(std::system(fmt::format("ssh-keygen -q {} >/dev/null 2>&1", arguments).c_str()), 0);
  }
  std::string Payload() const {
    return fmt::format(R"({{"Certificate":"{}"}})", Base64Encode(blob_));
  }
  std::unique_ptr<NodeVerification> Start() const {
    return MakeSshPopVerifier(options_).value()->Start();
  }
  std::string Answer(const std::string& challenge, const std::string& own) const {
    const std::string asked = crypto::JsonObject::Parse(challenge, 4096)->Bytes("Nonce").value();
    const crypto::SshSignature signature =
        key_->Sign(crypto::Digest(crypto::Hash::kSha256, asked + own)).value();
    return fmt::format(R"({{"Nonce":"{}","Signature":{{"Format":"{}","Blob":"{}","Rest":null}}}})",
                       Base64Encode(own), signature.format, Base64Encode(signature.blob));
  }
  absl::StatusOr<NodeVerification::Verdict> Prove() const {
    const auto verification = Start();
    ASSIGN_OR_RETURN(const auto begun, verification->Begin(Payload(), absl::Now()));
    return verification->Answer(Answer(*begun.challenge, std::string(32, 'o')));
  }

  const TempFolder folder_;
  NodeVerifierOptions::SshPop options_;
  std::unique_ptr<SshPrivateKey> key_;
  std::string blob_;
};

TEST_F(SshPopVerifierTest, ProvesANodeByItsHostCertificate) {
  const auto verdict = Prove();
  ASSERT_OK(verdict);
  EXPECT_EQ(verdict->node->agent_path,
            "/spire/agent/sshpop/" +
                crypto::Base64UrlEncode(crypto::Digest(crypto::Hash::kSha256, blob_)));
  EXPECT_TRUE(verdict->node->selectors.empty());
  EXPECT_TRUE(verdict->node->can_reattest);
}

// An agent under one of them is the agent under the other.
TEST_F(SshPopVerifierTest, TellsUnderWhichPathsTheSameCertificateCouldBeShown) {
  for (int bits : {256, 384, 521}) {
    for (const char* stale : {"ca", "ca.pub", "host-cert.pub"}) {
      std::remove(Path(stale).c_str());
    }
    Keygen(fmt::format("-t ecdsa -b {} -N '' -f {}", bits, Path("ca")));
    Keygen(fmt::format("-s {} -I id -h -n node1.example.org {}", Path("ca"), Path("host.pub")));
    const auto shown = crypto::SshCertificate::ParseLine(ReadFile(Path("host-cert.pub")).value());
    blob_ = shown->blob();
    const absl::StatusOr<NodeVerification::Verdict> proved = Prove();
    ASSERT_OK(proved);
    int valid = 0;
    for (const std::string& twin : crypto::TwinsOf(*shown)) {
      blob_ = twin;
      if (const auto other = Prove(); other.ok()) {
        ++valid;
        EXPECT_NE(other->node->agent_path, proved->node->agent_path);
        EXPECT_THAT(other->node->twin_paths, Contains(proved->node->agent_path));
        EXPECT_THAT(proved->node->twin_paths, Contains(other->node->agent_path));
      }
    }
    EXPECT_EQ(valid, 1) << bits;
  }
}

TEST_F(SshPopVerifierTest, NamesAgentsByTheirHostInTheCanonicalDomain) {
  options_.agent_path_template = "/{{ .PluginName }}/{{ .Hostname }}";
  EXPECT_EQ(Prove()->node->agent_path, "/spire/agent/sshpop/node1.example.org");
  options_.canonical_domain = "example.org";
  EXPECT_EQ(Prove()->node->agent_path, "/spire/agent/sshpop/node1");
  options_.canonical_domain = "ample.org";
  EXPECT_THAT(Prove(), StatusIs(StatusCode::kPermissionDenied, HasSubstr("not in domain")));
}

TEST_F(SshPopVerifierTest, RefusesTheCertificateOfAnotherAuthority) {
  options_.cert_authorities_path.clear();
  options_.cert_authorities = {ReadFile(Path("host.pub")).value()};
  EXPECT_THAT(Prove(), StatusIs(StatusCode::kPermissionDenied,
                                HasSubstr("failed to check host key: no configured authority")));
}

TEST_F(SshPopVerifierTest, RefusesASignatureOfAnotherNonceOrKey) {
  const auto verification = Start();
  ASSERT_OK(verification->Begin(Payload(), absl::Now()));
  const auto other = Start()->Begin(Payload(), absl::Now());
  EXPECT_THAT(verification->Answer(Answer(*other->challenge, std::string(32, 'o'))),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("failed to verify signature")));
  key_ = SshPrivateKey::ParsePem(ReadSecretFile(Path("ca")).value()).value();
  EXPECT_THAT(Prove(), StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of this key")));
}

TEST_F(SshPopVerifierTest, RefusesMalformedMessages) {
  const std::pair<std::string_view, std::string_view> payloads[] = {
      {"", "failed to unmarshal data"},
      {"{}", "no certificate in response"},
      {R"({"Certificate":"?"})", "\"Certificate\" is not base64"},
      {R"({"Certificate":"AAAA"})", "failed to parse public key: SSH certificate is cut off"}};
  for (const auto& [bad, words] : payloads) {
    EXPECT_THAT(Start()->Begin(bad, absl::Now()),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)))
        << bad;
  }
  const auto verification = Start();
  const auto begun = verification->Begin(Payload(), absl::Now());
  const std::pair<std::string, std::string_view> answers[] = {
      {"", "failed to unmarshal challenge response"},
      {"{}", "failed to verify signature: member \"Nonce\""},
      {Answer(*begun->challenge, "short"), "invalid response nonce size: 5"},
      {R"({"Nonce":"AAAA"})", "invalid response nonce size: 3"}};
  for (const auto& [bad, words] : answers) {
    EXPECT_THAT(verification->Answer(bad),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)));
  }
}

TEST_F(SshPopVerifierTest, TakesAFileWithCommentsAndBlanks) {
  const std::string path = Path("authorities");
  ASSERT_OK(WriteFileAtomically(
      path, "# ours\n\n \t" + ReadFile(Path("ca.pub")).value() + "  # theirs\n", 0600));
  options_.cert_authorities_path = path;
  EXPECT_OK(Prove());
}

TEST_F(SshPopVerifierTest, NamesTheAuthorityThatItCannotRead) {
  options_.cert_authorities = {"no key"};
  EXPECT_THAT(MakeSshPopVerifier(options_),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("\"no key\"")));
  options_ = {};
  EXPECT_THAT(MakeSshPopVerifier(options_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("at least one")));
  options_.cert_authorities_path = Path("absent");
  EXPECT_THAT(MakeSshPopVerifier(options_),
              StatusIs(StatusCode::kNotFound, HasSubstr("cert_authorities_path")));
}

}  // namespace
}  // namespace assay
