// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/refusal_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/support/fake_clock.h"

namespace assay {
namespace {

TEST(RefusalLogTest, WritesSoManyLinesOfAUserAndThenTheirNumber) {
  FakeClock clock;
  const auto loop = EventLoop::Create(clock).value();
  RefusalLog refusals(*loop);
  for (size_t i = 0; i < RefusalLog::kLines; ++i) {
    EXPECT_TRUE(refusals.MayWrite(1000));
  }
  EXPECT_FALSE(refusals.MayWrite(1000));
  EXPECT_FALSE(refusals.MayWrite(1000));
  EXPECT_TRUE(refusals.MayWrite(1001));
  clock.Advance(RefusalLog::kWindow);
  testing::internal::CaptureStdout();
  loop->RunOnce(absl::ZeroDuration());
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              testing::AllOf(testing::HasSubstr("suppressed=2 uid=1000"),
                             testing::Not(testing::HasSubstr("uid=1001"))));
  EXPECT_TRUE(refusals.MayWrite(1000));
}

TEST(RefusalLogTest, IsBoundedForManyUsers) {
  FakeClock clock;
  const auto loop = EventLoop::Create(clock).value();
  RefusalLog refusals(*loop);
  size_t lines = 0;
  for (uid_t user = 1; user < 70000; ++user) {
    lines += refusals.MayWrite(user) ? 1 : 0;
  }
  EXPECT_EQ(lines, 1024u);
}

TEST(RefusalLogTest, ShowsTheSelectorsThatItMay) {
  FakeClock clock;
  const auto loop = EventLoop::Create(clock).value();
  RefusalLog log(*loop);
  const std::vector<Selector> selectors = {
      {"unix", "uid:0"}, {"unix", "uidx:0"}, {"k8s", "ns:a"}, {"k8s", "sa:b"}};
  EXPECT_EQ(log.Shown(selectors), "");
  log.ShowSelectors({"unix:uid", "k8s"});
  EXPECT_EQ(log.Shown(selectors), "k8s:ns:a,k8s:sa:b,unix:uid:0");
}

}  // namespace
}  // namespace assay
