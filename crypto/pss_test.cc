// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/pss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "crypto/key.h"
#include "crypto/rsa_signature.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

TEST(PssTest, AcceptsOpensslsSignaturesWithAnySalt) {
  SKIP_WITHOUT_OPENSSL();
  const TempFolder folder;
  const std::string file = folder.path() + "/key.pem", text = folder.path() + "/text";
  ASSERT_OK(WriteFileAtomically(text, "message", 0600));
  // 2049 bits: the encoding is a byte shorter than the modulus.
  for (int bits : {2048, 2049}) {
    ASSERT_EQ(RunOpenssl(fmt::format("genrsa -out {} {}", file, bits)).exit_code, 0);
    const PublicKey key = PrivateKey::ParsePem(ReadSecretFile(file).value()).value()->public_key();
    for (const char* salt : {"max", "digest", "0", "17"}) {
      const CommandResult made = RunOpenssl(
          fmt::format("dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{} "
                      "-sign {} -out {}.sig {}",
                      salt, file, text, text));
      ASSERT_EQ(made.exit_code, 0) << made.output;
      const std::string signature = ReadFile(text + ".sig").value();
      EXPECT_OK(VerifyPssOfAnySalt(key, Hash::kSha256, "message", signature)) << bits << salt;
      EXPECT_THAT(VerifyPssOfAnySalt(key, Hash::kSha256, "massage", signature),
                  StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of this key")));
      EXPECT_FALSE(VerifyPssOfAnySalt(key, Hash::kSha384, "message", signature).ok());
    }
  }
}

TEST(PssTest, RefusesSignaturesThatAreChangedCutOrLonger) {
  const auto key = PrivateKey::Generate(KeyType::kRsa2048).value();
  const SignatureScheme scheme = {SignatureScheme::Kind::kRsaPss, Hash::kSha256};
  const std::string signature = Sign(*key, scheme, "message").value();
  ASSERT_OK(VerifyPssOfAnySalt(key->public_key(), Hash::kSha256, "message", signature));
  std::string changed = signature;
  changed[100] = static_cast<char>(changed[100] ^ 1);
  const std::string pkcs1 =
      Sign(*key, {SignatureScheme::Kind::kRsaPkcs1, Hash::kSha256}, "message").value();
  for (const std::string& bad : {changed, signature.substr(1), signature + '\0', std::string(),
                                 std::string(256, '\xff'), std::string(256, '\0'), pkcs1}) {
    EXPECT_FALSE(VerifyPssOfAnySalt(key->public_key(), Hash::kSha256, "message", bad).ok());
  }
  const auto ec = PrivateKey::Generate(KeyType::kEcP256).value();
  EXPECT_FALSE(VerifyPssOfAnySalt(ec->public_key(), Hash::kSha256, "message", signature).ok());
}

TEST(PssTest, TakesNoEncodingOfAnotherSize) {
  const std::string digest = Digest(Hash::kSha256, "message");
  for (size_t size : {0, 1, 33, 34, 255, 257}) {
    EXPECT_FALSE(IsPssEncoding(Hash::kSha256, digest, std::string(size, '\xbc'), 2048)) << size;
  }
  EXPECT_FALSE(IsPssEncoding(Hash::kSha256, digest, "", 0));
  EXPECT_FALSE(IsPssEncoding(Hash::kSha256, digest, "\xbc", 8));
}

}  // namespace
}  // namespace assay::crypto
