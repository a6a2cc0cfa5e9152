// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/selector.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(SelectorTest, IsCutAtTheFirstColon) {
  const auto selector = Selector::Parse("k8s:pod-label:app:web");
  ASSERT_OK(selector);
  EXPECT_EQ(selector->type, "k8s");
  EXPECT_EQ(selector->value, "pod-label:app:web");
  EXPECT_EQ(selector->ToString(), "k8s:pod-label:app:web");
}

TEST(SelectorTest, RefusesTextWithoutATypeOrAValue) {
  for (const char* text : {"", ":", "unix", "unix:", ":uid", "::"}) {
    EXPECT_THAT(Selector::Parse(text),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("wanted type:value")))
        << text;
  }
}

TEST(SelectorTest, NormalizingSortsAndDropsDuplicates) {
  const Selector a{"unix", "gid:1"}, b{"unix", "uid:1"}, c{"a", "z"};
  EXPECT_THAT(Normalized({b, a, b, c, a}), ElementsAre(c, a, b));
}

TEST(SelectorTest, ASubsetHasNothingThatTheWholeLacks) {
  const Selector a{"t", "a"}, b{"t", "b"}, c{"t", "c"}, a_of_u{"u", "a"};
  EXPECT_TRUE(IsSubset({}, {}));
  EXPECT_TRUE(IsSubset({}, {a}));
  EXPECT_TRUE(IsSubset({a, c}, {a, b, c}));
  EXPECT_FALSE(IsSubset({a, c}, {a, b}));
  EXPECT_FALSE(IsSubset({a_of_u}, {a}));
  EXPECT_FALSE(IsSubset({a}, {}));
}

}  // namespace
}  // namespace assay
