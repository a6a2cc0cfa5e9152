// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/sshpop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/json_object.h"
#include "crypto/ssh_certificate.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::JsonObject;
using testing::HasSubstr;

const std::string kNonce(32, 'n');

std::string Challenge(std::string_view nonce) {
  return fmt::format(R"({{"Nonce":"{}"}})", crypto::Base64Encode(nonce));
}

// A host key and its certificate, made by ssh-keygen.
class SshPopTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v ssh-keygen >/dev/null") != 0) {
      GTEST_SKIP() << "ssh-keygen is not on the path";
    }
    for (const char* name : {"host", "ca", "other"}) {
      Keygen(fmt::format("-t ed25519 -N '' -f {}", Path(name)));
    }
    Keygen(fmt::format("-s {} -I id -h -n node1 {}", Path("ca"), Path("host.pub")));
    options_ = {.host_key_path = Path("host"), .host_cert_path = Path("host-cert.pub")};
  }
  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", folder_.path(), name);
  }
  void Keygen(const std::string& arguments) const {
    ASSERT_EQ(std::system(fmt::format("ssh-keygen -q {} >/dev/null 2>&1", arguments).c_str()), 0);
  }
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() const {
    return SshPopAttestor(options_).Begin();
  }

  const TempFolder folder_;
  SshPopOptions options_;
};

TEST_F(SshPopTest, ShowsTheCertificateAndSignsBothNonces) {
  const auto attestation = Begin();
  ASSERT_OK(attestation);
  const auto payload = JsonObject::Parse((*attestation)->Payload()->Reveal(), 4096);
  const auto certificate =
      crypto::SshCertificate::Parse(payload->Bytes("Certificate").value()).value();
  EXPECT_EQ(certificate.principals(), std::vector<std::string>{"node1"});
  const auto answer = JsonObject::Parse((*attestation)->Answer(Challenge(kNonce)).value(), 4096);
  const auto signature = answer->Object("Signature").value();
  EXPECT_OK(certificate.key().Verify(
      crypto::Digest(crypto::Hash::kSha256, kNonce + answer->Bytes("Nonce").value()),
      {signature.Text("Format").value(), signature.Bytes("Blob").value()}));
}

TEST_F(SshPopTest, SignsNothingButNonces) {
  const auto attestation = Begin().value();
  for (const std::string& bad : {std::string(), std::string("{}"), Challenge(""),
                                 Challenge(std::string(33, 'n')), std::string(5000, ' ')}) {
    EXPECT_THAT(attestation->Answer(bad),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("challenge")));
  }
}

TEST_F(SshPopTest, SaysWhichFileIsWrong) {
  options_.host_key_path = Path("other");
  EXPECT_THAT(Begin(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("is not for the key")));
  options_.host_key_path = Path("host.pub");
  EXPECT_THAT(Begin(), StatusIs(StatusCode::kInvalidArgument, HasSubstr(Path("host.pub"))));
  options_.host_key_path = Path("absent");
  EXPECT_THAT(Begin(), StatusIs(StatusCode::kNotFound, HasSubstr(Path("absent"))));
  EXPECT_OK(SshPopAttestor(options_, ReadSecretFile(Path("host")).value()).Begin());
  options_.host_cert_path = Path("host.pub");
  EXPECT_THAT(Begin(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("not a certificate")));
}

}  // namespace
}  // namespace assay
