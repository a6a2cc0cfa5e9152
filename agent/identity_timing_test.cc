// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_timing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

Random Always(double value) {
  return [value] { return value; };
}

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

TEST(IdentityTimingTest, BackoffGrowsByHalfUpToTheLongestAndStartsAnewAfterSuccess) {
  Backoff backoff(absl::Seconds(4), absl::Seconds(10));
  const Random middle = Always(0.5);
  EXPECT_EQ(backoff.Next(middle), absl::Seconds(4));
  EXPECT_EQ(backoff.Next(middle), absl::Seconds(6));
  EXPECT_EQ(backoff.Next(middle), absl::Seconds(9));
  EXPECT_EQ(backoff.Next(middle), absl::Seconds(10));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(Always(0)), absl::Milliseconds(3600));
}

TEST(IdentityTimingTest, RotationFallsAroundHalfOfTheLife) {
  const Validity day{kStart, kStart + absl::Hours(20)};
  EXPECT_EQ(DrawRotation(day, std::nullopt, Always(0.5)), kStart + absl::Hours(10));
  EXPECT_EQ(DrawRotation(day, std::nullopt, Always(0)), kStart + absl::Hours(11));
  EXPECT_NEAR(absl::ToDoubleSeconds(DrawRotation(day, std::nullopt, Always(1)) - kStart), 9 * 3600,
              1e-3);
}

TEST(IdentityTimingTest, AnAvailabilityTargetMovesRotationForwardWhereItCanBeHeld) {
  const Validity long_life{kStart, kStart + absl::Hours(100)};
  EXPECT_EQ(DrawRotation(long_life, absl::Hours(80), Always(0.5)),
            kStart + absl::Hours(20) - absl::Minutes(5));
  // Half of the life is sooner.
  EXPECT_EQ(DrawRotation(long_life, absl::Hours(24), Always(0.5)), kStart + absl::Hours(50));
  // 12 hours are not more than 12 hours.
  EXPECT_EQ(DrawRotation(long_life, absl::Hours(88), Always(0.5)), kStart + absl::Hours(50));
}

TEST(IdentityTimingTest, AnSvidThatComesMustBeOfUse) {
  const Validity hour{kStart, kStart + absl::Hours(1)};
  EXPECT_OK(CheckFresh(hour, kStart));
  EXPECT_OK(CheckFresh(hour, kStart - absl::Minutes(1)));
  EXPECT_THAT(CheckFresh(hour, kStart - absl::Seconds(61)),
              StatusIs(absl::StatusCode::kUnavailable, testing::_));
  EXPECT_OK(CheckFresh(hour, kStart + absl::Minutes(59)));
  EXPECT_THAT(CheckFresh(hour, kStart + absl::Seconds(3571)),
              StatusIs(absl::StatusCode::kUnavailable, testing::_));
  const Validity short_life{kStart, kStart + absl::Seconds(20)};
  EXPECT_OK(CheckFresh(short_life, kStart + absl::Seconds(10)));
}

TEST(IdentityTimingTest, ARotationIsNeverAtOnce) {
  const Validity hour{kStart, kStart + absl::Hours(1)};
  EXPECT_EQ(NotTooSoon(kStart + absl::Minutes(30), hour, kStart), kStart + absl::Minutes(30));
  EXPECT_EQ(NotTooSoon(kStart, hour, kStart), kStart + absl::Minutes(6));
  EXPECT_EQ(NotTooSoon(kStart, hour, kStart + absl::Minutes(58)),
            kStart + absl::Minutes(58) + absl::Seconds(30));
  EXPECT_EQ(NotTooSoon(kStart, hour, kStart + absl::Seconds(3580)), kStart + absl::Seconds(3590));
}

TEST(IdentityTimingTest, TheSystemsRandomNumbersAreInRangeAndDiffer) {
  const Random random = SystemRandom();
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    const double value = random();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    sum += value;
  }
  EXPECT_NEAR(sum / 1000, 0.5, 0.1);
}

}  // namespace
}  // namespace assay
