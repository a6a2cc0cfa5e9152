// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/pem.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

std::string Block(std::string_view body) {
  return fmt::format("-----BEGIN X-----\n{}\n-----END X-----\n", body);
}

TEST(PemTest, WritesLinesOf64Characters) {
  EXPECT_EQ(PemEncode("X", std::string(50, '\0')), Block(std::string(64, 'A') + "\n" + "AAA="));
  EXPECT_EQ(PemEncode("X", ""), "-----BEGIN X-----\n-----END X-----\n");
}

TEST(PemTest, ReadsWhatItWritesForEverySize) {
  for (size_t size = 0; size < 200; ++size) {
    const std::string der(size, 'x');
    const std::vector<PemBlock> blocks = ParsePem(PemEncode("A LABEL", der)).value();
    ASSERT_EQ(blocks.size(), 1u);
    EXPECT_EQ(blocks[0].label, "A LABEL");
    EXPECT_EQ(blocks[0].der, der);
  }
}

TEST(PemTest, ReadsBlocksInOrderAndIgnoresTheTextBetween) {
  const std::string text = "subject=CN = root\n" + PemEncode("A", "one") +
                           "- - -\n-----BEGIN\n  \n" + PemEncode("B", "two") + "the end";
  const std::vector<PemBlock> blocks = ParsePem(text).value();
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].label + blocks[0].der, "Aone");
  EXPECT_EQ(blocks[1].label + blocks[1].der, "Btwo");
}

TEST(PemTest, AcceptsCarriageReturnsBlanksAndAMissingLastNewline) {
  const std::string text = "-----BEGIN X----- \r\n Zm9v\t\r\nYg==\r\n\r\n-----END X-----";
  EXPECT_EQ(ParsePem(text).value().at(0).der, "foob");
}

TEST(PemTest, TextWithoutBlocksHasNone) {
  EXPECT_EQ(ParsePem("").value().size(), 0u);
  EXPECT_EQ(ParsePem("nothing here\n-----END X-----\n").value().size(), 0u);
  EXPECT_EQ(ParsePem("----------\n-----BEGIN -----\n").value().size(), 0u);
}

TEST(PemTest, NamesTheBlockThatIsBroken) {
  const std::string good = PemEncode("X", "good");
  EXPECT_THAT(ParsePem(good + "-----BEGIN X-----\nZm9v\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("block 2 is cut off")));
  EXPECT_THAT(ParsePem(good + good + Block("Zm9")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("block 3: base64")));
  EXPECT_THAT(ParsePem(Block("Zm=v")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("block 1")));
  EXPECT_THAT(ParsePem("-----BEGIN X-----\nZm9v\n-----END Y-----\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("label")));
  EXPECT_THAT(ParsePem("-----BEGIN X-----\nZm9v\n-----BEGIN X-----\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("label")));
  EXPECT_THAT(ParsePem(Block("Proc-Type: 4,ENCRYPTED\n\nZm9v")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("encrypted")));
}

}  // namespace
}  // namespace assay::crypto
