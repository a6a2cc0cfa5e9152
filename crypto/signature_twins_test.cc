// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/signature_twins.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/issue.h"
#include "crypto/rsa_signature.h"
#include "crypto/ssh_wire.h"
#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using testing::Contains;
using testing::IsEmpty;

Certificate SelfSigned(const PrivateKey& key) {
  const CertificateTemplate what{.serial = "\x01",
                                 .subject = {{"CN", "n"}},
                                 .not_before = absl::Now(),
                                 .not_after = absl::Now() + absl::Hours(1),
                                 .uris = {},
                                 .dns_names = {},
                                 .is_ca = true,
                                 .key_usage = kKeyCertSign,
                                 .extended_key_usage = {}};
  return Certificate::Parse(IssueCertificate(what, key.public_key(), nullptr, key).value()).value();
}

// Of a P-521 key, which is not made here; by the openssl command.
constexpr std::string_view kSelfSignedP521 =
    "MIIB9TCCAVagAwIBAgIUC2slBF3i6gby7dxVTnaXLejymJUwCgYIKoZIzj0EAwQwDDEKMAgGA1UEAwwBbjAeFw0yNj"
    "ExMjIwMDEwNDJaFw0zNjExMTkwMDEwNDJaMAwxCjAIBgNVBAMMAW4wgZswEAYHKoZIzj0CAQYFK4EEACMDgYYABAAT"
    "4qO0dn9O3elgpVZ8VZFOuVKgWFbHwdYRZ4Lq9dQpHUk1BNG9pKSu4OLKy0zRZ21gcdDKCouRZ7xhMdQH4nDvjwFbCP"
    "ZMrrlJO4Syi78s6QJOfL4AGgkomnwQ2Ftfa+/DrbeefCRtJgNMYPumXYuepjuYklmR0fc1S1zPR7Q+rRul56NTMFEw"
    "HQYDVR0OBBYEFM1wfqOOQOq2dP9r1Yr7C123ne/wMB8GA1UdIwQYMBaAFM1wfqOOQOq2dP9r1Yr7C123ne/wMA8GA1"
    "UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwQDgYwAMIGIAkIAv4HufX/q9J9Mb+apKG8BGYPvsB0HlnioSderIlYmf1qJ"
    "R6zGl/db1+STiMHSuHD1wtSZN2w71UtKecnvS7ffr0ACQgH3shWIPHJIpR6pi2tc4XZt0cEtnRPwiW9CI/DCvmZWhO"
    "HjWyaEaC5chgkwuVyXLNW2ifFgD4KPe1tDjTJfgC2E4w==";

TEST(SignatureTwinsTest, AreOfTheSameSignerAndOneAnothers) {
  const auto p256 = PrivateKey::Generate(KeyType::kEcP256).value();
  const auto p384 = PrivateKey::Generate(KeyType::kEcP384).value();
  for (const Certificate& certificate :
       {SelfSigned(*p256), SelfSigned(*p384),
        Certificate::Parse(Base64Decode(kSelfSignedP521).value()).value()}) {
    int valid = 0;
    for (const std::string& der : TwinsOf(certificate)) {
      const auto twin = Certificate::Parse(der);
      ASSERT_OK(twin);
      EXPECT_NE(*twin, certificate);
      if (twin->VerifySignedBy(certificate.public_key()).ok()) {
        ++valid;
        EXPECT_THAT(TwinsOf(*twin), Contains(certificate.der()));
      }
    }
    EXPECT_EQ(valid, 1);
  }
}

// a + b, of one size; empty when it does not fit into that.
std::string Sum(std::string_view a, std::string_view b) {
  std::string sum(a.size(), '\0');
  int carry = 0;
  for (size_t i = a.size(); i-- > 0; carry >>= 8) {
    carry += static_cast<unsigned char>(a[i]) + static_cast<unsigned char>(b[i]);
    sum[i] = static_cast<char>(carry & 0xff);
  }
  return carry == 0 ? sum : "";
}

TEST(SignatureTwinsTest, RsaHasNone) {
  const auto key = PrivateKey::Generate(KeyType::kRsa2048).value();
  EXPECT_THAT(TwinsOf(SelfSigned(*key)), IsEmpty());
  // RFC 8017 §5.2.2: what is not below the modulus is no signature.
  const PublicKey& verifier = key->public_key();
  for (const auto kind : {SignatureScheme::Kind::kRsaPkcs1, SignatureScheme::Kind::kRsaPss}) {
    const SignatureScheme scheme = {kind, Hash::kSha256};
    std::string message, signature, twin;
    // One in a few is small enough for a twin of as many bytes.
    for (int i = 0; twin.empty(); ++i) {
      ASSERT_LT(i, 10000);
      message = std::to_string(i);
      signature = Sign(*key, scheme, message).value();
      twin = Sum(signature, verifier.rsa_modulus());
    }
    EXPECT_OK(verifier.Verify(scheme, message, signature));
    EXPECT_FALSE(verifier.Verify(scheme, message, twin).ok());
    const bool is_pss = kind == SignatureScheme::Kind::kRsaPss;
    EXPECT_EQ(VerifyPssOfAnySalt(verifier, Hash::kSha256, message, signature).ok(), is_pss);
    EXPECT_FALSE(VerifyPssOfAnySalt(verifier, Hash::kSha256, message, twin).ok());
  }
}

TEST(SignatureTwinsTest, AreOfTheCurvesThatAreLargeEnough) {
  EXPECT_EQ(OtherHalves(std::string(32, '\x01')).size(), 3u);
  EXPECT_EQ(OtherHalves(std::string(32, '\xff')).size(), 2u);
  EXPECT_EQ(OtherHalves(std::string(48, '\x01')).size(), 2u);
  EXPECT_EQ(OtherHalves(std::string(66, '\x01')).size(), 1u);
  EXPECT_THAT(OtherHalves(std::string(66, '\xff')), IsEmpty());
  EXPECT_THAT(OtherHalves(std::string(67, '\x01')), IsEmpty());
}

}  // namespace
}  // namespace assay::crypto
