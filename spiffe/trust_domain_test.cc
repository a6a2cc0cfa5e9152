// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/trust_domain.h"

#include <gtest/gtest.h>

#include <cctype>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

// ID-07, ID-08, ID-09
TEST(TrustDomainTest, AcceptsExactlyTheBytesOfTheStandard) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool allowed =
        std::islower(byte) || std::isdigit(byte) || c == '.' || c == '-' || c == '_';
    EXPECT_EQ(TrustDomain::Parse(std::string{'a', c}).ok(), allowed) << byte;
  }
}

// ID-02, ID-11
TEST(TrustDomainTest, RefusesANameThatIsEmptyOrTooLong) {
  EXPECT_OK(TrustDomain::Parse(std::string(255, 'a')));
  for (size_t size : {0, 256}) {
    EXPECT_THAT(TrustDomain::Parse(std::string(size, 'a')),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("wanted 1 to 255")));
  }
}

// ID-07, ID-10
TEST(TrustDomainTest, TreatsNamesThatLookLikeAddressesAsNames) {
  for (const char* name : {"1.2.3.4", "999.999.999.999", "a..b", "-", ".", "a_b-c.d", "x",
                           "3f2c1b0a-0000-4000-8000-000000000000"}) {
    const auto parsed = TrustDomain::Parse(name);
    ASSERT_OK(parsed);
    EXPECT_EQ(parsed->name(), name);
    EXPECT_EQ(parsed->IdString(), std::string("spiffe://") + name);
  }
  for (const char* name : {"[::1]", "a%2etest", "a\\b", "a~b", "a+b", "a b", "\xc3\xa9.test"}) {
    EXPECT_FALSE(TrustDomain::Parse(name).ok()) << name;
  }
}

}  // namespace
}  // namespace assay
