// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "crypto/der_reader.h"
#include "crypto/der_writer.h"
#include "crypto/digest.h"
#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

std::string Hex(std::string_view text) { return HexDecode(text).value(); }
absl::Time At(std::string_view text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, {text.data(), text.size()}, &time, &error));
  return time;
}

TEST(DerTest, LengthsGoBothWays) {
  for (size_t size : {0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 20}) {
    const std::string der = DerOctets(std::string(size, 'x'));
    DerReader reader(der);
    const DerElement element = reader.Read(kDerOctetString, "it").value();
    EXPECT_EQ(element.content.size(), size);
    EXPECT_EQ(element.whole, der);
    EXPECT_TRUE(reader.AtEnd());
  }
}

TEST(DerTest, RefusesWhatIsNotDer) {
  for (const char* hex : {
           "",
           "04",                  // no length
           "0401",                // no content
           "0480",                // indefinite
           "04800000",            // indefinite, ended
           "048100",              // long form of a short length
           "04817f",              // long form of a short length
           "0482000100",          // leading zero
           "0481",                // length cut off
           "048500000000010000",  // length of five bytes
           "0484ffffffff00",      // longer than what holds it
           "1f0100",              // tag of more bytes
           "ff01",
       }) {
    DerReader reader(Hex(hex));
    const std::string bytes = Hex(hex);
    EXPECT_THAT(DerReader(bytes).ReadAny(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("DER")))
        << hex;
  }
}

TEST(DerTest, NamesWhatIsMissingOrLeftOver) {
  const std::string der = Hex("0500ff");
  DerReader reader(der);
  EXPECT_THAT(reader.Read(kDerInteger, "serial"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("serial: wanted DER tag 0x02")));
  ASSERT_OK(reader.Read(kDerNull, "null"));
  EXPECT_THAT(reader.End("list"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("list: 1 trailing")));
}

TEST(DerTest, SmallIntegersGoBothWays) {
  for (unsigned value : {0u, 1u, 127u, 128u, 255u, 256u, 65535u, 65536u, 0x7fffffffu}) {
    const std::string der = DerSmall(value);
    EXPECT_EQ(DerReader(der).ReadSmall("it").value(), static_cast<int>(value));
  }
  EXPECT_EQ(HexEncode(DerSmall(128)), "02020080");
  EXPECT_EQ(HexEncode(DerUnsigned(Hex("000000"))), "020100");
}

TEST(DerTest, RefusesIntegersOutOfFormOrRange) {
  for (const char* hex : {"0200", "02020001", "0202ff80", "020180", "02050080000000",
                          "0204ffffffff", "02050100000000"}) {
    const std::string der = Hex(hex);
    EXPECT_FALSE(DerReader(der).ReadSmall("it").ok()) << hex;
  }
}

TEST(DerTest, ReadsBooleansStrictly) {
  EXPECT_TRUE(DerReader(DerTrue()).ReadBoolean("it").value());
  const std::string no = Hex("010100");
  EXPECT_FALSE(DerReader(no).ReadBoolean("it").value());
  for (const char* hex : {"0100", "010101", "0102ffff"}) {
    const std::string der = Hex(hex);
    EXPECT_FALSE(DerReader(der).ReadBoolean("it").ok()) << hex;
  }
}

TEST(DerTest, ObjectIdentifiersGoBothWays) {
  for (const char* oid : {"2.5.29.17", "1.2.840.113549.1.1.11", "1.3.6.1.5.5.7.3.1", "0.9.2342",
                          "2.999.1", "2.23.133.8.1", "2.5.4.0"}) {
    const std::string der = DerObjectId(oid);
    EXPECT_EQ(DerReader(der).ReadOid("it").value(), oid);
  }
  EXPECT_EQ(HexEncode(DerObjectId("2.5.29.17")), "0603551d11");
}

TEST(DerTest, RefusesMalformedObjectIdentifiers) {
  for (const char* hex :
       {"0600", "060180", "0602558f", "0603558001", "060b55ffffffffffffffffff7f"}) {
    const std::string der = Hex(hex);
    EXPECT_FALSE(DerReader(der).ReadOid("it").ok()) << hex;
  }
  EXPECT_FALSE(DerReader(DerWrap(kDerOid, std::string(65, 1))).ReadOid("it").ok());
}

TEST(DerTest, BitStringsGoBothWays) {
  const std::string bits = DerBits("abc");
  EXPECT_EQ(DerReader(bits).ReadBitString("it").value(), "abc");
  for (unsigned named : {0u, 1u, 1u << 5, 1u << 7, 1u << 8, 0x15u, 0x1ffu}) {
    const std::string der = DerNamedBits(named);
    EXPECT_EQ(DerReader(der).ReadNamedBits("it").value(), named);
  }
  // digitalSignature, keyEncipherment, keyAgreement, as the reference server writes them.
  EXPECT_EQ(HexEncode(DerNamedBits(1u << 0 | 1u << 2 | 1u << 4)), "030203a8");
  EXPECT_EQ(HexEncode(DerNamedBits(1u << 5 | 1u << 6)), "03020106");
}

TEST(DerTest, RefusesMalformedBitStrings) {
  for (const char* hex : {"0300", "030101", "030108", "030208ff", "03020701", "030203a9"}) {
    const std::string der = Hex(hex);
    EXPECT_FALSE(DerReader(der).ReadNamedBits("it").ok()) << hex;
    EXPECT_FALSE(DerReader(der).ReadBitString("it").ok()) << hex;
  }
}

struct TimeCase {
  std::string_view time, der;
};

TEST(DerTest, TimesGoBothWays) {
  for (const TimeCase& c : {TimeCase{"2026-11-21T10:55:00Z",
                                     "\x17\x0d"
                                     "261121105500Z"},
                            TimeCase{"2049-12-31T23:59:59Z",
                                     "\x17\x0d"
                                     "491231235959Z"},
                            TimeCase{"2050-01-01T00:00:00Z",
                                     "\x18\x0f"
                                     "20500101000000Z"},
                            TimeCase{"1950-01-01T00:00:00Z",
                                     "\x17\x0d"
                                     "500101000000Z"},
                            TimeCase{"1949-12-31T23:59:59Z",
                                     "\x18\x0f"
                                     "19491231235959Z"},
                            TimeCase{"2024-02-29T00:00:00Z",
                                     "\x17\x0d"
                                     "240229000000Z"},
                            TimeCase{"9999-12-31T23:59:59Z",
                                     "\x18\x0f"
                                     "99991231235959Z"}}) {
    EXPECT_EQ(DerTime(At(c.time)), c.der);
    EXPECT_EQ(DerReader(c.der).ReadTime("it").value(), At(c.time));
  }
}

TEST(DerTest, RefusesTimesThatDoNotExistOrAreNotInForm) {
  for (const char* text :
       {"260230000000Z", "261301000000Z", "260001000000Z", "260100000000Z", "260101240000Z",
        "260101006000Z", "260101000060Z", "230229000000Z", "2601010000Z", "260101000000",
        "260101000000+0000", "26010100000xZ", "-60101000000Z", "2601010000000Z", ""}) {
    const std::string utc = DerWrap(kDerUtcTime, text);
    EXPECT_FALSE(DerReader(utc).ReadTime("it").ok()) << text;
    const std::string general = DerWrap(kDerGeneralizedTime, fmt::format("20{}", text));
    EXPECT_FALSE(DerReader(general).ReadTime("it").ok()) << text;
  }
  const std::string fraction = DerWrap(kDerGeneralizedTime, "20260101000000.5Z");
  EXPECT_FALSE(DerReader(fraction).ReadTime("it").ok());
}

}  // namespace
}  // namespace assay::crypto
