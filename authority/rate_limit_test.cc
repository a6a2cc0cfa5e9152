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

TEST(RateLimitTest, HoldsABurstOfItsOwn) {
  FakeClock clock;
  RateLimit limit(clock, 1, 2);
  EXPECT_EQ(limit.Take("a", 2, kPatient).value(), kNow);
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), absl::Seconds(1));
}

TEST(RateLimitTest, TakesBackTheTokensOfACallThatIsOver) {
  const FakeClock clock;
  RateLimit limit(clock, 1);
  ASSERT_OK(limit.Take("a", 1, kPatient));
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), absl::Seconds(1));
  limit.GiveBack("a", 1);
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), absl::Seconds(1));
  for (int i = 0; i < 3; ++i) {
    limit.GiveBack("a", 1);
  }
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), kNow);
  EXPECT_EQ(limit.Take("a", 1, kPatient).value(), absl::Seconds(1));
}

TEST(RateLimitTest, CountsANetworkOfIpv6AsOneCaller) {
  EXPECT_EQ(LimitedHost("1.2.3.4:567"), "1.2.3.4");
  EXPECT_EQ(LimitedHost("[::ffff:1.2.3.4]:567"), "1.2.3.4");
  EXPECT_EQ(LimitedHost("[2001:db8:1:2:3:4:5:6]:567"), "2001:db8:1:2::/64");
  EXPECT_EQ(LimitedHost("[2001:db8:1:2::]:567"), "2001:db8:1:2::/64");
}

}  // namespace
}  // namespace assay
