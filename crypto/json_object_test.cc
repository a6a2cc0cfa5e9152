// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/json_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kText = R"({"text":"a","bytes":"YWI=","number":7,"point":1.9e3,
  "below":-3,"inner":{"deep":{"x":"y"}},"many":["a","b"],"mixed":["a",1],"none":null,
  "objects":[{"n":1},{"n":2}]})";

JsonObject Parsed() { return JsonObject::Parse(kText, 4096).value(); }

TEST(JsonObjectTest, GivesMembersByNameAndKind) {
  const JsonObject object = Parsed();
  EXPECT_EQ(object.Text("text").value(), "a");
  EXPECT_EQ(object.Bytes("bytes").value(), "ab");
  EXPECT_EQ(object.Integer("number").value(), 7);
  EXPECT_EQ(object.Integer("point").value(), 1900);
  EXPECT_EQ(object.Integer("below").value(), -3);
  EXPECT_THAT(object.Texts("many", 2).value(), ElementsAre("a", "b"));
  EXPECT_THAT(object.Texts("text", 2).value(), ElementsAre("a"));
  EXPECT_EQ(object.Objects("objects", 2).value()[1].Integer("n").value(), 2);
  EXPECT_TRUE(object.Has("text"));
  EXPECT_FALSE(object.Has("none"));
}

TEST(JsonObjectTest, AnInnerObjectOutlivesTheOneItCameFrom) {
  const JsonObject deep = Parsed().Object("inner").value().Object("deep").value();
  EXPECT_EQ(deep.Text("x").value(), "y");
}

TEST(JsonObjectTest, NamesTheMemberThatIsAbsentOrOfAnotherKind) {
  const JsonObject object = Parsed();
  EXPECT_THAT(object.Text("number"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("number")));
  EXPECT_THAT(object.Text("absent"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("absent")));
  EXPECT_THAT(object.Bytes("text"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("base64")));
  EXPECT_FALSE(object.Integer("text").ok());
  EXPECT_FALSE(object.Object("none").ok());
  EXPECT_FALSE(object.Texts("mixed", 2).ok());
  EXPECT_FALSE(object.Texts("many", 1).ok());
  EXPECT_FALSE(object.Objects("many", 2).ok());
  EXPECT_FALSE(object.Objects("objects", 1).ok());
}

TEST(JsonObjectTest, GivesASecretAsOne) {
  EXPECT_EQ(JsonObject::Parse(R"({"token":"secret"})", 32)->SecretText("token")->Reveal(),
            "secret");
  EXPECT_THAT(JsonObject::Parse(R"({"token":1})", 32)->SecretText("token"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("token")));
}

// Its texts are wiped without a stack as deep as the document.
TEST(JsonObjectTest, TakesDeepDocuments) {
  constexpr size_t kDepth = 100'000;
  const std::string deep =
      R"({"a":)" + std::string(kDepth, '[') + R"("b")" + std::string(kDepth, ']') + "}";
  EXPECT_TRUE(JsonObject::Parse(deep, deep.size())->Has("a"));
}

TEST(JsonObjectTest, RefusesWhatIsNoObjectOrTooLong) {
  for (std::string_view bad : {"", "[]", "1", "{", "{}x", "\"a\"", "\xff"}) {
    EXPECT_THAT(JsonObject::Parse(bad, 16),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("not a JSON object")))
        << bad;
  }
  EXPECT_THAT(JsonObject::Parse("{   }", 4),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("wanted at most 4")));
  // A number that no integer can be.
  EXPECT_FALSE(JsonObject::Parse(R"({"n":1e300})", 16)->Integer("n").ok());
  EXPECT_FALSE(JsonObject::Parse(R"({"n":18446744073709551615})", 32)->Integer("n").ok());
}

}  // namespace
}  // namespace assay::crypto
