// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_validator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/test_jwt.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::_;
using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

class JwtValidatorTest : public testing::Test {
 protected:
  absl::Status Validate(const std::string& token, absl::Time now = kNow,
                        std::string_view audience = "x", uid_t user = 1) {
    const auto find = [this](const TrustDomain& trust_domain) -> std::span<const JwtAuthority> {
      const auto at = authorities_.find(trust_domain.name());
      return at == authorities_.end() ? std::span<const JwtAuthority>() : at->second;
    };
    const auto check = [&](const JwtSvid& svid, const crypto::PublicKey& key) -> absl::Status {
      const std::string digest = JwtValidator::DigestOf(token);
      if (validator_.Knows(digest, key)) {
        return absl::OkStatus();
      }
      ++checks_;
      RETURN_IF_ERROR(validator_.Check({svid, digest}, key, user));
      EXPECT_TRUE(validator_.Remembers(digest));
      return absl::OkStatus();
    };
    ASSIGN_OR_RETURN(const JwtSvid svid, JwtSvid::Parse(token));
    return VerifyJwtSvid(svid, {find, audience, now, check});
  }
  std::string Token(const std::string& id = "spiffe://a.test/w") const {
    return key_.Token(TestJwtKey::Claims(id, {"x"}, kNow));
  }

  const TestJwtKey key_;
  std::map<std::string, std::vector<JwtAuthority>> authorities_{{"a.test", {key_.authority()}}};
  JwtValidator validator_;
  int checks_ = 0;  // Of signatures.
};

TEST_F(JwtValidatorTest, FindsTheKeyByTheTrustDomainOfTheSubject) {
  // JWT-14 JWT-18 ID-23
  EXPECT_OK(Validate(Token()));
  EXPECT_THAT(Validate(Token("spiffe://b.test/w")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no keys found")));
  const TestJwtKey other;  // Of the same key id.
  authorities_["b.test"] = {other.authority()};
  EXPECT_THAT(Validate(Token("spiffe://b.test/w")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("signature")));
}

TEST_F(JwtValidatorTest, ATokenSeenBeforeIsHeldToAllElseAgain) {
  // JWT-15
  const std::string token = Token();
  EXPECT_OK(Validate(token));
  EXPECT_OK(Validate(token));
  EXPECT_EQ(checks_, 1);
  EXPECT_THAT(Validate(token, kNow + absl::Hours(1)), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(Validate(token, kNow, "y"), StatusIs(StatusCode::kInvalidArgument, _));
  // The same key id, another key.
  authorities_["a.test"] = {TestJwtKey().authority()};
  EXPECT_THAT(Validate(token), StatusIs(StatusCode::kInvalidArgument, HasSubstr("signature")));
  authorities_["a.test"] = {};
  EXPECT_THAT(Validate(token), StatusIs(StatusCode::kInvalidArgument, HasSubstr("no keys")));
}

TEST_F(JwtValidatorTest, AForgedTokenIsForgedTheSecondTimeToo) {
  std::string token = Token();
  EXPECT_OK(Validate(token));
  token[token.size() - 10] = token[token.size() - 10] == 'A' ? 'B' : 'A';
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Validate(token), StatusIs(StatusCode::kInvalidArgument, HasSubstr("signature")));
  }
}

TEST_F(JwtValidatorTest, ForgetsThoseOfTheUserWhoHadMostChecked) {
  const std::string token = Token();
  EXPECT_OK(Validate(token, kNow, "x", 2));
  for (size_t i = 0; i < JwtValidator::kRemembered + 5; ++i) {
    ASSERT_OK(Validate(Token("spiffe://a.test/" + std::to_string(i))));
  }
  checks_ = 0;
  EXPECT_OK(Validate(token));
  EXPECT_EQ(checks_, 0);
}

TEST_F(JwtValidatorTest, ForgetsTheOldest) {
  const std::string token = Token();
  EXPECT_OK(Validate(token));
  for (size_t i = 0; i < JwtValidator::kRemembered + 5; ++i) {
    ASSERT_OK(Validate(Token("spiffe://a.test/" + std::to_string(i))));
  }
  checks_ = 0;
  EXPECT_OK(Validate(token));
  EXPECT_EQ(checks_, 1);
}

}  // namespace
}  // namespace assay
