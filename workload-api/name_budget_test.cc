// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/name_budget.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(NameBudgetTest, BoundsEachUserApart) {
  NameBudget budget;
  EXPECT_TRUE(budget.Change(1, 0, NameBudget::kBytesPerUser - 10));
  EXPECT_FALSE(budget.Change(1, 0, 11));
  EXPECT_TRUE(budget.Change(1, 0, 10));
  EXPECT_FALSE(budget.Change(1, 10, 11));
  EXPECT_TRUE(budget.Change(2, 0, 11)) << "another user";
  EXPECT_TRUE(budget.Change(1, 10, 0));
  EXPECT_TRUE(budget.Change(1, 0, 10)) << "what was given back";
}

TEST(NameBudgetTest, BoundsAllUsersTogether) {
  NameBudget budget;
  constexpr uid_t kUsers = NameBudget::kBytesOfAll / NameBudget::kBytesPerUser;
  for (uid_t user = 0; user < kUsers; ++user) {
    EXPECT_TRUE(budget.Change(user, 0, NameBudget::kBytesPerUser));
  }
  EXPECT_FALSE(budget.Change(kUsers, 0, 1));
  EXPECT_TRUE(budget.Change(0, NameBudget::kBytesPerUser, 0));
  EXPECT_TRUE(budget.Change(kUsers, 0, 1));
}

}  // namespace
}  // namespace assay
