// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/x509pop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "crypto/der_writer.h"
#include "crypto/digest.h"
#include "crypto/json_object.h"
#include "crypto/pem.h"
#include "crypto/rsa_signature.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::Base64Encode;
using crypto::JsonObject;
using testing::HasSubstr;

const std::string kNonce(32, 'n');

std::string Challenge(bool is_rsa, std::string_view nonce = kNonce) {
  const std::string part = fmt::format(R"({{"nonce":"{}"}})", Base64Encode(nonce));
  return fmt::format(R"({{"rsa_signature":{},"ecdsa_signature":{}}})", is_rsa ? part : "null",
                     is_rsa ? "null" : part);
}

// A certificate below an intermediate, in files.
class X509PopTest : public testing::Test {
 protected:
  explicit X509PopTest(crypto::KeyType type = crypto::KeyType::kEcP256) {
    svid_ = TestCa::Under(ca_).IssueSvid(TestId("spiffe://example.org/node"), type);
    Write("key", crypto::PemEncode("PRIVATE KEY", Key().pkcs8().Reveal()));
    Write("leaf", crypto::PemEncode("CERTIFICATE", svid_->chain[0].der()));
    Write("between", crypto::PemEncode("CERTIFICATE", svid_->chain[1].der()));
    options_ = {.private_key_path = Path("key"),
                .certificate_path = Path("leaf"),
                .intermediates_path = Path("between"),
                .spiffe_endpoint_socket = {}};
  }
  const crypto::PrivateKey& Key() const {
    return dynamic_cast<const crypto::PrivateKey&>(*svid_->key);
  }
  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", folder_.path(), name);
  }
  void Write(std::string_view name, std::string_view text) const {
    EXPECT_OK(WriteFileAtomically(Path(name), text, 0600));
  }
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() {
    return X509PopAttestor([this] { return LoadX509PopFiles(options_); }).Begin();
  }

  const TempFolder folder_;
  const TestCa ca_;
  std::optional<X509Svid> svid_;
  X509PopOptions options_;
};

class X509PopRsaTest : public X509PopTest {
 protected:
  X509PopRsaTest() : X509PopTest(crypto::KeyType::kRsa2048) {}
};

TEST_F(X509PopTest, ShowsTheCertificateAndItsIntermediates) {
  const auto attestation = Begin();
  ASSERT_OK(attestation);
  const auto payload = JsonObject::Parse((*attestation)->Payload()->Reveal(), 1 << 20);
  EXPECT_THAT(payload->Texts("certificates", 4).value(),
              testing::ElementsAre(Base64Encode(svid_->chain[0].der()),
                                   Base64Encode(svid_->chain[1].der())));
}

TEST_F(X509PopTest, SignsBothNoncesWithAnEcKey) {
  const auto answer = Begin().value()->Answer(Challenge(false));
  ASSERT_OK(answer);
  const auto part = JsonObject::Parse(*answer, 4096)->Object("ecdsa_signature");
  ASSERT_OK(part);
  const std::string own = part->Bytes("nonce").value();
  EXPECT_EQ(own.size(), 32u);
  EXPECT_OK(Key().public_key().Verify(
      {crypto::SignatureScheme::Kind::kEcdsa, crypto::Hash::kSha256}, kNonce + own,
      crypto::DerSequence({crypto::DerUnsigned(part->Bytes("r").value()),
                           crypto::DerUnsigned(part->Bytes("s").value())})));
}

TEST_F(X509PopRsaTest, SignsBothNoncesWithPss) {
  const auto answer = Begin().value()->Answer(Challenge(true));
  ASSERT_OK(answer);
  const auto part = JsonObject::Parse(*answer, 4096)->Object("rsa_signature");
  ASSERT_OK(part);
  EXPECT_OK(crypto::VerifyPssOfAnySalt(Key().public_key(), crypto::Hash::kSha256,
                                       kNonce + part->Bytes("nonce").value(),
                                       part->Bytes("signature").value()));
}

// What a longer "nonce" is could be a certificate request.
TEST_F(X509PopTest, SignsNothingButNonces) {
  const auto attestation = Begin().value();
  for (const std::string& bad :
       {std::string(), std::string("{}"), Challenge(true), Challenge(false, ""),
        Challenge(false, std::string(31, 'n')), Challenge(false, std::string(33, 'n')),
        std::string(R"({"ecdsa_signature":{"nonce":"?"}})"), std::string(8192, ' ')}) {
    EXPECT_THAT(attestation->Answer(bad),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("challenge")))
        << bad;
  }
}

TEST_F(X509PopTest, TakesUpARenewedCertificate) {
  X509PopAttestor attestor([this] { return LoadX509PopFiles(options_); });
  ASSERT_OK(attestor.Begin());
  const X509Svid renewed = ca_.IssueSvid(TestId("spiffe://example.org/node"));
  Write("leaf", crypto::PemEncode("CERTIFICATE", renewed.chain[0].der()));
  EXPECT_THAT(attestor.Begin(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("not for the private key")));
  Write("key",
        crypto::PemEncode("PRIVATE KEY",
                          dynamic_cast<const crypto::PrivateKey&>(*renewed.key).pkcs8().Reveal()));
  EXPECT_OK(attestor.Begin());
}

TEST_F(X509PopTest, NamesTheFileThatIsWrong) {
  Write("leaf", "no PEM");
  EXPECT_THAT(Begin(), StatusIs(StatusCode::kInvalidArgument, HasSubstr(Path("leaf"))));
  options_.certificate_path = Path("absent");
  EXPECT_THAT(Begin(), StatusIs(StatusCode::kNotFound, HasSubstr(Path("absent"))));
}

}  // namespace
}  // namespace assay
