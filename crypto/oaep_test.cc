// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/oaep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <wolfssl/options.h>
// The options come first: they decide what the other headers declare.
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

const PrivateKey& TestKey() {
  static const std::unique_ptr<PrivateKey> key = PrivateKey::Generate(KeyType::kRsa2048).value();
  return *key;
}

// What the owner of the private key reads with this label; empty when it refuses.
std::string Decrypt(const std::string& ciphertext, std::string label) {
  RsaKey key;
  WC_RNG rng;
  wc_InitRsaKey(&key, nullptr);
  wc_InitRng(&rng);
  wc_RsaSetRNG(&key, &rng);
  word32 index = 0;
  const std::string_view der = TestKey().pkcs8().Reveal();
  EXPECT_EQ(
      wc_RsaPrivateKeyDecode(reinterpret_cast<const byte*>(der.data()), &index, &key, der.size()),
      0);
  std::string plaintext(256, '\0');
  const int size = wc_RsaPrivateDecrypt_ex(
      reinterpret_cast<const byte*>(ciphertext.data()), ciphertext.size(),
      reinterpret_cast<byte*>(plaintext.data()), plaintext.size(), &key, WC_RSA_OAEP_PAD,
      WC_HASH_TYPE_SHA256, WC_MGF1SHA256, reinterpret_cast<byte*>(label.data()), label.size());
  wc_FreeRng(&rng);
  wc_FreeRsaKey(&key);
  plaintext.resize(size < 0 ? 0 : size);
  return plaintext;
}

TEST(OaepTest, IsReadByTheOwnerOfTheKeyUnderTheSameLabelOnly) {
  const absl::StatusOr<std::string> ciphertext =
      RsaOaepEncrypt(TestKey().public_key(), Hash::kSha256, "label", "plain");
  ASSERT_OK(ciphertext);
  EXPECT_EQ(ciphertext->size(), 256);
  EXPECT_EQ(Decrypt(*ciphertext, "label"), "plain");
  EXPECT_EQ(Decrypt(*ciphertext, "other"), "");
}

TEST(OaepTest, NeverGivesTheSameBytesTwice) {
  const PublicKey& key = TestKey().public_key();
  EXPECT_NE(RsaOaepEncrypt(key, Hash::kSha256, "", "x").value(),
            RsaOaepEncrypt(key, Hash::kSha256, "", "x").value());
}

TEST(OaepTest, RefusesOtherKeysAndTooMuchPlaintext) {
  const auto ec = PrivateKey::Generate(KeyType::kEcP256).value();
  EXPECT_THAT(RsaOaepEncrypt(ec->public_key(), Hash::kSha256, "", "x"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("RSA")));
  const PublicKey& key = TestKey().public_key();
  EXPECT_OK(RsaOaepEncrypt(key, Hash::kSha256, "", std::string(190, 'x')));
  EXPECT_THAT(RsaOaepEncrypt(key, Hash::kSha256, "", std::string(191, 'x')),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("191 bytes")));
}

}  // namespace
}  // namespace assay::crypto
