// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/distinguished_name.h"

#include <gtest/gtest.h>

#include "crypto/der_reader.h"
#include "crypto/der_writer.h"
#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

constexpr std::string_view kCn = "2.5.4.3";

std::string Pair(std::string_view oid, uint8_t tag, std::string_view value) {
  return DerSequence({DerObjectId(oid), DerWrap(tag, value)});
}
// A name of one common name with a value of this type.
std::string NameOf(uint8_t tag, std::string_view value) {
  return DerSequence({DerWrap(kDerSet, Pair(kCn, tag, value))});
}

TEST(DistinguishedNameTest, GoesBothWays) {
  const DistinguishedName name = {{"C", "US"},           {"O", "SPIFFE"}, {"OU", "Gr\xc3\xbcn"},
                                  {"SERIALNUMBER", "1"}, {"CN", "a"},     {"CN", "b"}};
  const auto attributes = ParseName(WriteName(name).value());
  ASSERT_OK(attributes);
  EXPECT_EQ(ToDistinguishedName(*attributes), name);
  EXPECT_EQ(CommonNameOf(*attributes), "b");
  EXPECT_EQ(NameText(*attributes), "CN=b,CN=a,SERIALNUMBER=1,OU=Gr\xc3\xbcn,O=SPIFFE,C=US");
}

TEST(DistinguishedNameTest, TheEmptyNameIsEmpty) {
  const auto attributes = ParseName(WriteName({}).value());
  ASSERT_OK(attributes);
  EXPECT_TRUE(attributes->empty());
  EXPECT_EQ(NameText(*attributes) + CommonNameOf(*attributes), "");
}

TEST(DistinguishedNameTest, WritesUnknownTypesAndJoinedOnes) {
  const std::string name = DerSequence(
      {DerWrap(kDerSet, Pair("2.5.4.6", kDerPrintableString, "US")),
       DerWrap(kDerSet, Pair(kCn, kDerUtf8String, "a") + Pair("1.2.3", kDerUtf8String, "b"))});
  const auto attributes = ParseName(name);
  ASSERT_OK(attributes);
  EXPECT_EQ(NameText(*attributes), "CN=a+1.2.3=#0c0162,C=US");
  EXPECT_EQ(ToDistinguishedName(*attributes).size(), 2u);
}

TEST(DistinguishedNameTest, EscapesWhatWouldReadAsSyntax) {
  const auto text = [](std::string_view value) {
    return NameText(ParseName(NameOf(kDerUtf8String, value)).value());
  };
  EXPECT_EQ(text("a,O=b"), "CN=a\\,O=b");
  EXPECT_EQ(text(" a "), "CN=\\ a\\ ");
  EXPECT_EQ(text("#1"), "CN=\\#1");
  EXPECT_EQ(text("+\"\\<>;"), "CN=\\+\\\"\\\\\\<\\>\\;");
}

TEST(DistinguishedNameTest, TurnsOldStringTypesIntoUtf8) {
  const auto text = [](uint8_t tag, std::string_view value) {
    return CommonNameOf(ParseName(NameOf(tag, value)).value());
  };
  EXPECT_EQ(text(kDerTeletexString, "Gr\xfcn"), "Gr\xc3\xbcn");
  EXPECT_EQ(text(kDerBmpString, std::string_view("\0a\x20\xac", 4)), "a\xe2\x82\xac");
  EXPECT_EQ(text(kDerIa5String, "a@b"), "a@b");
  EXPECT_EQ(text(kDerOctetString, "a"), "");
}

TEST(DistinguishedNameTest, RefusesTextThatIsNotOfItsAlphabet) {
  for (const char* value :
       {"\xff", "\xc3", "\xc3(", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_THAT(ParseName(NameOf(kDerUtf8String, value)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("UTF-8")));
  }
  EXPECT_FALSE(ParseName(NameOf(kDerPrintableString, "\xe4")).ok());
  EXPECT_FALSE(ParseName(NameOf(kDerIa5String, "\x80")).ok());
  EXPECT_FALSE(ParseName(NameOf(kDerBmpString, "abc")).ok());
  EXPECT_FALSE(ParseName(NameOf(kDerBmpString, "\xd8\x34\xdd\x1e")).ok());
  EXPECT_OK(ParseName(NameOf(kDerUtf8String, "\xf0\x9f\x94\x91")));
}

TEST(DistinguishedNameTest, RefusesWhatIsNoName) {
  const std::string pair = Pair(kCn, kDerUtf8String, "a");
  for (const std::string& bad :
       {std::string(), DerSequence({pair}), DerSequence({DerWrap(kDerSet, "")}),
        DerSequence({DerWrap(kDerSet, DerSequence({DerObjectId(kCn)}))}),
        DerSequence({DerWrap(kDerSet, pair)}) + "x", DerWrap(kDerSet, pair)}) {
    EXPECT_THAT(ParseName(bad), StatusIs(StatusCode::kInvalidArgument, HasSubstr("")));
  }
  std::string many;
  for (int i = 0; i < 65; ++i) {
    many += DerWrap(kDerSet, pair);
  }
  EXPECT_THAT(ParseName(DerWrap(kDerSequence, many)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("more than 64")));
}

}  // namespace
}  // namespace assay::crypto
