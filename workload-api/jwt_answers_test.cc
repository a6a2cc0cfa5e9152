// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spiffe/workload.pb.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_jwt.h"

namespace assay {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

absl::StatusOr<ValidateJWTSVIDResponse> Validated(
    const std::string& token, bool all = true,
    const std::set<std::string, std::less<>>& others = {}) {
  const auto svid = JwtSvid::Parse(token);
  RETURN_IF_ERROR(svid.status());
  ValidateJWTSVIDResponse response;
  RETURN_IF_ERROR(FillValidated(*svid, {.all = all, .others = others}, response));
  return response;
}

json Claims() { return TestJwtKey::Claims("spiffe://a.test/w", "x", kNow); }

TEST(JwtAnswersTest, BundlesAreKeyedBySpiffeId) {
  // WLAPI-35 WLAPI-37
  JWTBundlesResponse response;
  ASSERT_TRUE(response.ParseFromString(JwtBundlesAnswer({{"b.test", "two"}, {"a.test", "one"}})));
  EXPECT_THAT(response.bundles(),
              UnorderedElementsAre(Pair("spiffe://a.test", "one"), Pair("spiffe://b.test", "two")));
}

TEST(JwtAnswersTest, ClaimsKeepTheirKinds) {
  // WLAPI-42 JWT-12
  json claims = Claims();
  claims["deep"] = {{"list", {1.5, "a", nullptr, false}}, {"\u00e9", json::object()}};
  const auto response = Validated(TestJwtKey().Token(claims));
  ASSERT_OK(response);
  EXPECT_EQ(response->spiffe_id(), "spiffe://a.test/w");
  const auto& fields = response->claims().fields();
  EXPECT_EQ(fields.at("exp").number_value(), 1'800'000'300);
  EXPECT_EQ(fields.at("sub").string_value(), "spiffe://a.test/w");
  ASSERT_EQ(fields.at("aud").list_value().values_size(), 1);
  EXPECT_EQ(fields.at("aud").list_value().values(0).string_value(), "x");
  const auto& deep = fields.at("deep").struct_value().fields();
  const auto& list = deep.at("list").list_value();
  ASSERT_EQ(list.values_size(), 4);
  EXPECT_EQ(list.values(0).number_value(), 1.5);
  EXPECT_EQ(list.values(1).string_value(), "a");
  EXPECT_TRUE(list.values(2).has_null_value());
  EXPECT_TRUE(list.values(3).has_bool_value());
  EXPECT_TRUE(deep.at("\u00e9").has_struct_value());
}

TEST(JwtAnswersTest, TellsTheClaimsThatAreAllowed) {
  // WLAPI-41
  json claims = Claims();
  claims["groups"] = "a";
  claims["email"] = "b";
  const auto response = Validated(TestJwtKey().Token(claims), /*all=*/false, {"groups"});
  ASSERT_OK(response);
  EXPECT_THAT(response->claims().fields(),
              UnorderedElementsAre(Pair("sub", testing::_), Pair("aud", testing::_),
                                   Pair("exp", testing::_), Pair("groups", testing::_)));
}

TEST(JwtAnswersTest, RefusesClaimsThatAreTooDeep) {
  // As text, for the library writes no document that is deeper than the stack.
  const auto nested = [](size_t depth) {
    const TestJwtKey key;
    std::string claims = Claims().dump();
    claims.replace(claims.size() - 1, 1,
                   ",\"deep\":" + std::string(depth, '[') + std::string(depth, ']') + "}");
    return Validated(key.Sign(claims, key.header().dump(), key.algorithm()));
  };
  const auto fits = nested(30);
  ASSERT_OK(fits);
  ValidateJWTSVIDResponse parsed;
  EXPECT_TRUE(parsed.ParseFromString(fits->SerializeAsString()));
  for (size_t depth : {31, 20'000}) {
    EXPECT_THAT(nested(depth),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too deeply")));
  }
}

}  // namespace
}  // namespace assay
