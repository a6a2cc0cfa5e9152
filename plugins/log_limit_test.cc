// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/log_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/fake_clock.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LogLimitTest : public testing::Test {
 protected:
  // How many of so many lines are admitted.
  int Write(int lines, size_t bytes = 80) {
    int admitted = 0;
    for (int i = 0; i < lines; ++i) {
      admitted += limit_.Admit(bytes) ? 1 : 0;
    }
    return admitted;
  }
  void Wait(absl::Duration time) {
    clock_.Advance(time);
    loop_->RunOnce(absl::ZeroDuration());
  }

  FakeClock clock_;
  const std::unique_ptr<EventLoop> loop_ = *EventLoop::Create(clock_);
  std::vector<uint64_t> told_;
  LogLimit limit_{*loop_, clock_, [this](uint64_t dropped) { told_.push_back(dropped); }};
};

TEST_F(LogLimitTest, ABurstIsTakenAndWhatIsMoreIsDroppedAndToldOnce) {
  EXPECT_EQ(Write(LogLimit::kBurst + 50), LogLimit::kBurst);
  EXPECT_EQ(Write(7), 0);
  EXPECT_THAT(told_, IsEmpty());
  Wait(LogLimit::kPause);
  EXPECT_THAT(told_, ElementsAre(57));
  EXPECT_EQ(Write(1), 1);
  Wait(absl::Hours(1));
  EXPECT_THAT(told_, ElementsAre(57));
}

TEST_F(LogLimitTest, ALongLineCountsAsManyShortOnes) {
  EXPECT_EQ(Write(LogLimit::kBurst, 19 << 10), LogLimit::kBurst / 20);
}

TEST_F(LogLimitTest, OneThatNeverStopsIsToldOfOnceAPause) {
  Write(LogLimit::kBurst);
  int admitted = 0;
  for (int i = 0; i < 10; ++i) {
    admitted += Write(1000);
    Wait(LogLimit::kPause);
  }
  EXPECT_EQ(admitted, 9 * LogLimit::kPerSecond);
  EXPECT_EQ(told_.size(), 10U);
}

TEST_F(LogLimitTest, LinesAtTheRateAreTakenForever) {
  Write(LogLimit::kBurst);
  for (int i = 0; i < 100; ++i) {
    Wait(absl::Seconds(1));
    ASSERT_EQ(Write(LogLimit::kPerSecond), LogLimit::kPerSecond);
  }
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(LogLimitTest, AtTheEndWhatWasDroppedIsToldAtOnce) {
  Write(LogLimit::kBurst + 1);
  limit_.Tell();
  EXPECT_THAT(told_, ElementsAre(1));
  limit_.Tell();
  Wait(LogLimit::kPause);
  EXPECT_THAT(told_, ElementsAre(1));
}

}  // namespace
}  // namespace assay
