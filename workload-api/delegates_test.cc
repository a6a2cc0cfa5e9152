// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

TEST(DelegatesTest, ADelegateWithTooManyCallsTakesNothingFromAnother) {
  Delegates delegates;
  std::vector<std::unique_ptr<Delegates::Share>> calls;
  for (size_t i = 0; i < Delegates::kMostCalls; ++i) {
    auto call = delegates.Take("spiffe://example.org/a");
    ASSERT_OK(call);
    calls.push_back(*std::move(call));
  }
  EXPECT_THAT(delegates.Take("spiffe://example.org/a"),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
  EXPECT_OK(delegates.Take("spiffe://example.org/b"));
  calls.pop_back();
  EXPECT_OK(delegates.Take("spiffe://example.org/a"));
}

struct CountingObserver final : DelegateObserver {
  void OnDelegatesChanged() override { ++told; }
  int told = 0;
};

TEST(DelegatesTest, TellsWhenOthersAreAuthorized) {
  Delegates delegates;
  CountingObserver observer, forgotten;
  delegates.Observe(observer);
  delegates.Observe(forgotten);
  delegates.Forget(forgotten);
  EXPECT_FALSE(delegates.IsAuthorized("spiffe://example.org/a"));
  delegates.Authorize({"spiffe://example.org/a"});
  delegates.Authorize({"spiffe://example.org/a"});
  EXPECT_TRUE(delegates.IsAuthorized("spiffe://example.org/a"));
  EXPECT_FALSE(delegates.IsAuthorized("spiffe://example.org/"));
  EXPECT_EQ(observer.told, 1);
  EXPECT_EQ(forgotten.told, 0);
}

}  // namespace
}  // namespace assay
