// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/rate_limit.h"

#include <gmock/gmock.h>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;

constexpr absl::Duration kNow = absl::ZeroDuration();
constexpr absl::Duration kPatient = absl::Minutes(1);

TEST(RateLimitTest, LetsABurstThroughAndDelaysWhatFollows) {
  const FakeClock clock;
  RateLimit limit(clock, 500);
  EXPECT_EQ(limit.Take("a", 500, kPatient).value(), kNow);
  EXPECT_EQ(limit.Take("a", 250, kPatient).value(), absl::Milliseconds(500));
  EXPECT_EQ(limit.Take("a", 250, kPatient).value(), absl::Seconds(1));
}

TEST(RateLimitTest, CountsEachAddressAlone) {
  const FakeClock clock;
  RateLimit limit(clock, 1);
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), kNow);
  EXPECT_EQ(limit.Take("b", 1, kPatient).value(), kNow);
}

TEST(RateLimitTest, FillsUpAgainButNotBeyondABurst) {
  FakeClock clock;
  RateLimit limit(clock, 1);
  ASSERT_OK(limit.Take("a", 1, kPatient));
  clock.Advance(absl::Seconds(30));
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), kNow);
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), absl::Seconds(1));
}

TEST(RateLimitTest, RefusesWhoWillNotWaitAndTakesNothing) {
  const FakeClock clock;
  RateLimit limit(clock, 1);
  ASSERT_OK(limit.Take("a", 1, kPatient));
  EXPECT_THAT(
      limit.Take("a", 1, absl::Milliseconds(300)),
      StatusIs(StatusCode::kResourceExhausted, "rate: Wait(n=1) would exceed context deadline"));
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), absl::Seconds(1));
}

TEST(RateLimitTest, RefusesMoreThanABurst) {
  const FakeClock clock;
  RateLimit limit(clock, 500);
  EXPECT_THAT(limit.Take("a", 501, kPatient),
              StatusIs(StatusCode::kResourceExhausted, "rate (501) exceeds burst size (500)"));
}

TEST(RateLimitTest, ForgetsAddressesThatAreQuiet) {
  FakeClock clock;
  RateLimit limit(clock, 1);
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(limit.Take(std::to_string(i), 1, kPatient));
  }
  clock.Advance(absl::Minutes(2));
  ASSERT_OK(limit.Take("a", 1, kPatient));
  EXPECT_EQ(limit.buckets(), 1);
}

TEST(RateLimitTest, ReadsTheHostOfAnAddress) {
  EXPECT_EQ(HostOf("1.2.3.4:567"), "1.2.3.4");
  EXPECT_EQ(HostOf("[::1]:567"), "[::1]");
}

TEST(RateLimitTest, ReadsGrpcTimeouts) {
  EXPECT_EQ(ParseGrpcTimeout("300m"), absl::Milliseconds(300));
  EXPECT_EQ(ParseGrpcTimeout("2S"), absl::Seconds(2));
  EXPECT_EQ(ParseGrpcTimeout("1H"), absl::Hours(1));
  EXPECT_EQ(ParseGrpcTimeout("99999999n"), absl::Nanoseconds(99999999));
  for (const char* none : {"", "S", "x", "1", "1x", "-1S", "1 S", "123456789S"}) {
    EXPECT_EQ(ParseGrpcTimeout(none), absl::InfiniteDuration()) << none;
  }
}

}  // namespace
}  // namespace assay
