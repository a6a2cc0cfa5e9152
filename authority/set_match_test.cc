// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/set_match.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

using Set = std::vector<int>;

TEST(SetMatchTest, ComparesAsItsNameSays) {
  const Set filter = {1, 2};
  for (const auto& [set, exact, subset, superset, any] :
       std::vector<std::tuple<Set, bool, bool, bool, bool>>{{{1, 2}, true, true, true, true},
                                                            {{1}, false, true, false, true},
                                                            {{1, 2, 3}, false, false, true, true},
                                                            {{2, 3}, false, false, false, true},
                                                            {{3}, false, false, false, false},
                                                            {{}, false, true, false, false}}) {
    EXPECT_EQ(Passes(SetMatch::kExact, filter, set), exact) << testing::PrintToString(set);
    EXPECT_EQ(Passes(SetMatch::kSubset, filter, set), subset) << testing::PrintToString(set);
    EXPECT_EQ(Passes(SetMatch::kSuperset, filter, set), superset) << testing::PrintToString(set);
    EXPECT_EQ(Passes(SetMatch::kAny, filter, set), any) << testing::PrintToString(set);
  }
}

TEST(SetMatchTest, PassesNothingWhenItsKindIsUnknown) {
  EXPECT_FALSE(Passes(static_cast<SetMatch>(9), Set{1}, Set{1}));
}

}  // namespace
}  // namespace assay
