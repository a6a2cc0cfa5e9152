// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/digest.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

TEST(DigestTest, HashesAsThePublishedVectorsSay) {
  EXPECT_EQ(HexEncode(Digest(Hash::kSha1, "abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(HexEncode(Digest(Hash::kSha256, "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexEncode(Digest(Hash::kSha384, "")),
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
            "274edebfe76f65fbd51ad2f14898b95b");
  EXPECT_EQ(HexEncode(Digest(Hash::kSha512, "abc")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(DigestTest, AuthenticatesAsRfc4231Says) {
  EXPECT_EQ(HexEncode(Hmac(Hash::kSha256, "Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  // A key longer than the hash's block is hashed first.
  EXPECT_EQ(HexEncode(Hmac(Hash::kSha512, std::string(131, '\xaa'),
                           "Test Using Larger Than Block-Size Key - Hash Key First")),
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598");
  EXPECT_EQ(Hmac(Hash::kSha1, "", "").size(), 20u);
}

TEST(DigestTest, RandomBytesDifferAcrossCallsAndThreads) {
  std::set<std::string> seen = {RandomBytes(32), RandomBytes(32)};
  std::thread([&seen] { seen.insert(RandomBytes(32)); }).join();
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(RandomBytes(0), "");
  EXPECT_EQ(RandomBytes(1000).size(), 1000u);
  EXPECT_FALSE(RandomSecret(16) == RandomSecret(16));
}

TEST(DigestTest, HexGoesBothWaysForEveryByte) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  EXPECT_EQ(HexDecode(HexEncode(all)).value(), all);
  EXPECT_EQ(HexDecode("AbFf").value(), "\xab\xff");
  EXPECT_THAT(HexDecode("abc"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("odd")));
  EXPECT_THAT(HexDecode("0g"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("foreign")));
  EXPECT_THAT(HexDecode(" 0"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("foreign")));
}

struct Base64Case {
  std::string bytes, standard, url;
};

TEST(DigestTest, Base64GoesBothWaysAsRfc4648Says) {
  for (const Base64Case& c : std::vector<Base64Case>{{"", "", ""},
                                                     {"f", "Zg==", "Zg"},
                                                     {"fo", "Zm8=", "Zm8"},
                                                     {"foo", "Zm9v", "Zm9v"},
                                                     {"foob", "Zm9vYg==", "Zm9vYg"},
                                                     {"\xfb\xff\xfe", "+//+", "-__-"}}) {
    EXPECT_EQ(Base64Encode(c.bytes), c.standard);
    EXPECT_EQ(Base64UrlEncode(c.bytes), c.url);
    EXPECT_EQ(Base64Decode(c.standard).value(), c.bytes);
    EXPECT_EQ(Base64UrlDecode(c.url).value(), c.bytes);
  }
}

// X509-24: x5c is standard base64 and nothing else.
TEST(DigestTest, RefusesBase64ThatIsNotCanonical) {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "=", "Zg==Zg==", "Zm9v\n",
                           "Zm 9", "-__-", "Zm9v=", "Zg=g"}) {
    EXPECT_THAT(Base64Decode(text), StatusIs(StatusCode::kInvalidArgument, HasSubstr("base64")))
        << text;
  }
  for (const char* text : {"Zg==", "Zh", "Z", "+//+", "Zm9v\n", "Zm9vZ"}) {
    EXPECT_THAT(Base64UrlDecode(text), StatusIs(StatusCode::kInvalidArgument, HasSubstr("base64")))
        << text;
  }
}

}  // namespace
}  // namespace assay::crypto
