// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/signature_twins.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/issue.h"
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

TEST(SignatureTwinsTest, AreOfTheSameSignerAndOneAnothers) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384}) {
    const auto key = PrivateKey::Generate(type).value();
    const Certificate certificate = SelfSigned(*key);
    int valid = 0;
    for (const std::string& der : TwinsOf(certificate)) {
      const auto twin = Certificate::Parse(der);
      ASSERT_OK(twin);
      EXPECT_NE(*twin, certificate);
      if (twin->VerifySignedBy(key->public_key()).ok()) {
        ++valid;
        EXPECT_THAT(TwinsOf(*twin), Contains(certificate.der()));
      }
    }
    EXPECT_EQ(valid, 1);
  }
}

TEST(SignatureTwinsTest, RsaHasNone) {
  const auto key = PrivateKey::Generate(KeyType::kRsa2048).value();
  EXPECT_THAT(TwinsOf(SelfSigned(*key)), IsEmpty());
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
