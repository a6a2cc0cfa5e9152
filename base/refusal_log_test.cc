// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/refusal_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>

#include "base/files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

TEST(RefusalLogTest, WritesSoManyLinesOfAUserAndThenTheirNumber) {
  FakeClock clock;
  const auto loop = EventLoop::Create(clock).value();
  RefusalLog<uid_t> refusals(*loop, "uid");
  for (size_t i = 0; i < RefusalLog<uid_t>::kLines; ++i) {
    EXPECT_TRUE(refusals.MayWrite(1000));
  }
  EXPECT_FALSE(refusals.MayWrite(1000));
  EXPECT_FALSE(refusals.MayWrite(1000));
  EXPECT_TRUE(refusals.MayWrite(1001));
  clock.Advance(RefusalLog<uid_t>::kWindow);
  const TempFolder folder;
  ASSERT_TRUE(log::Open({.file = folder.path() + "/log"}).ok());
  loop->RunOnce(absl::ZeroDuration());
  EXPECT_THAT(*ReadFile(folder.path() + "/log"),
              testing::AllOf(testing::HasSubstr("suppressed=2 uid=1000"),
                             testing::Not(testing::HasSubstr("uid=1001"))));
  EXPECT_TRUE(refusals.MayWrite(1000));
}

TEST(RefusalLogTest, IsBoundedForManyUsers) {
  FakeClock clock;
  const auto loop = EventLoop::Create(clock).value();
  RefusalLog<uid_t> refusals(*loop, "uid");
  size_t lines = 0;
  for (uid_t user = 1; user < 70000; ++user) {
    lines += refusals.MayWrite(user) ? 1 : 0;
  }
  EXPECT_EQ(lines, RefusalLog<uid_t>::kMaxCallers);
}

}  // namespace
}  // namespace assay
