// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/aes_cfb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

// The keys and plaintext of NIST SP 800-38A §F.3 with an all-zero first block; the ciphertexts are
// OpenSSL's.
TEST(AesCfbTest, EncryptsAsOtherImplementationsDo) {
  const std::string plaintext =
      HexDecode("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c8").value();
  const auto encrypt = [&](std::string_view key) {
    return HexEncode(AesCfbEncrypt(HexDecode(key).value(), plaintext).value());
  };
  EXPECT_EQ(encrypt("2b7e151628aed2a6abf7158809cf4f3c"),
            "1636d5ee34f80625d77f8e56ca88434586360140d4086cfd51de95ea001f81dce360");
  EXPECT_EQ(encrypt("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
            "8ea94863ba8fe940fe7032d13083bf7e22a9a42cd837fd65ce9f6a081bdfcf4619c2");
}

TEST(AesCfbTest, RefusesKeysOfOtherSizes) {
  for (const size_t size : {0, 15, 17, 24, 64}) {
    EXPECT_THAT(AesCfbEncrypt(std::string(size, 'k'), "plain"),
                StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("wanted 16")));
  }
}

}  // namespace
}  // namespace assay::crypto
