// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_bundles.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

constexpr absl::Duration kNow = absl::Hours(1);
const Random kMiddle = [] { return 0.5; };

BundleSchedule Schedule() { return {"own.test", absl::Seconds(5)}; }

TEST(BundleScheduleTest, TheOwnComesFirstAndEachInItsTurn) {
  BundleSchedule schedule = Schedule();
  schedule.Want({"a.test", "b.test"}, kNow);
  EXPECT_EQ(schedule.Due(kNow), "own.test");
  schedule.Succeed("own.test", kNow, kMiddle);
  EXPECT_EQ(schedule.Due(kNow), "a.test");
  schedule.Succeed("a.test", kNow, kMiddle);
  EXPECT_EQ(schedule.Due(kNow), "b.test");
  schedule.Succeed("b.test", kNow, kMiddle);
  EXPECT_EQ(schedule.Due(kNow), std::nullopt);
  EXPECT_EQ(schedule.NextTime(), kNow + absl::Seconds(5));
  EXPECT_EQ(schedule.Due(kNow + absl::Seconds(5)), "own.test");
}

TEST(BundleScheduleTest, WhatIsNotWantedAnyMoreIsForgotten) {
  BundleSchedule schedule = Schedule();
  schedule.Want({"a.test"}, kNow);
  schedule.Want({}, kNow);
  schedule.Succeed("own.test", kNow, kMiddle);
  EXPECT_EQ(schedule.Due(kNow), std::nullopt);
  EXPECT_FALSE(schedule.Succeed("a.test", kNow, kMiddle)) << "an answer that comes late";
}

TEST(BundleScheduleTest, OneThatFailsWaitsAloneAndLongerEachTime) {
  BundleSchedule schedule = Schedule();
  schedule.Want({"a.test"}, kNow);
  schedule.Succeed("own.test", kNow, kMiddle);
  EXPECT_TRUE(schedule.Fail("a.test", /*is_away=*/false, kNow, kMiddle));
  EXPECT_FALSE(schedule.Fail("a.test", /*is_away=*/false, kNow, kMiddle));
  schedule.Hasten("a.test", kNow);
  EXPECT_EQ(schedule.Due(kNow + absl::Seconds(5)), "own.test");
  schedule.Succeed("own.test", kNow + absl::Seconds(5), kMiddle);
  EXPECT_EQ(schedule.Due(kNow + absl::Seconds(7)), std::nullopt);
  EXPECT_EQ(schedule.Due(kNow + absl::Seconds(8)), "a.test");
  EXPECT_TRUE(schedule.Succeed("a.test", kNow + absl::Seconds(8), kMiddle));
}

TEST(BundleScheduleTest, AnUpstreamThatIsAwayIsAskedForNone) {
  BundleSchedule schedule = Schedule();
  schedule.Want({"a.test"}, kNow);
  schedule.Fail("own.test", /*is_away=*/true, kNow, kMiddle);
  EXPECT_EQ(schedule.Due(kNow + absl::Seconds(4)), std::nullopt);
  EXPECT_EQ(schedule.NextTime(), kNow + absl::Seconds(5));
  EXPECT_EQ(schedule.Due(kNow + absl::Seconds(5)), "own.test");
}

TEST(BundleScheduleTest, AnotherIntervalHoldsFromNowOn) {
  BundleSchedule schedule = Schedule();
  schedule.Succeed("own.test", kNow, kMiddle);
  schedule.SetInterval(absl::Seconds(1), kNow);
  EXPECT_EQ(schedule.NextTime(), kNow + absl::Seconds(1));
  schedule.SetInterval(absl::Minutes(1), kNow);
  EXPECT_EQ(schedule.NextTime(), kNow + absl::Seconds(1));
  schedule.Succeed("own.test", kNow + absl::Seconds(1), kMiddle);
  EXPECT_EQ(schedule.NextTime(), kNow + absl::Seconds(61));
}

TEST(BundleScheduleTest, AnotherUpstreamIsAskedForAllAtOnce) {
  BundleSchedule schedule = Schedule();
  schedule.Want({"a.test"}, kNow);
  schedule.Fail("own.test", /*is_away=*/true, kNow, kMiddle);
  schedule.Fail("a.test", /*is_away=*/true, kNow, kMiddle);
  schedule.Restart(kNow);
  EXPECT_EQ(schedule.Due(kNow), "own.test");
  EXPECT_FALSE(schedule.Succeed("own.test", kNow, kMiddle));
  EXPECT_EQ(schedule.Due(kNow), "a.test");
}

TEST(BundleScheduleTest, TheWholeIsWantedBeforeItIsFiveMinutesOld) {
  BundleSchedule schedule = Schedule();
  EXPECT_TRUE(schedule.WantsWhole("own.test", kNow));
  schedule.NoteWhole("own.test", kNow);
  EXPECT_FALSE(schedule.WantsWhole("own.test", kNow + absl::Seconds(294)));
  EXPECT_TRUE(schedule.WantsWhole("own.test", kNow + absl::Seconds(295)));
  EXPECT_FALSE(schedule.WantsWhole("other.test", kNow));
}

TEST(BundleScheduleTest, WhatIsNeededAnewIsDue) {
  BundleSchedule schedule = Schedule();
  schedule.Succeed("own.test", kNow, kMiddle);
  schedule.Hasten("own.test", kNow + absl::Seconds(1));
  EXPECT_EQ(schedule.Due(kNow + absl::Seconds(1)), "own.test");
}

}  // namespace
}  // namespace assay
