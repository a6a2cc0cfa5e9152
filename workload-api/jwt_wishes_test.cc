// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_wishes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_serve.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Waiter final : public JwtWaiter {
 public:
  void OnJwtSvid(const JwtSvidKey&, const std::shared_ptr<const JwtToken>&) override {}
  void OnJwtFailure(const JwtSvidKey&, std::string_view why) override { failure = why; }

  std::string failure;
};

JwtSvidKey KeyOfText(const std::string& entry, const std::string& audience) {
  return {.entry_id = entry, .audience = {audience}};
}

class JwtWishesTest : public testing::Test {
 protected:
  absl::Status Add(const std::string& entry, const std::string& audience, Waiter& waiter,
                   bool own = false) {
    return wishes_.Add(KeyOfText(entry, audience),
                       own ? JwtWishes::Kind::kOwn : JwtWishes::Kind::kShared, waiter);
  }
  // What the identity role was told since the last time: "+a x" for a wish, "-a x" for one that
  // nobody has any more; with the number of the request, if it has one.
  std::vector<std::string> Told() { return std::exchange(told_, {}); }
  void PassRetry() {
    clock_.Advance(JwtWishes::kRetry);
    loop_->RunOnce(absl::ZeroDuration());
  }

  FakeClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  std::vector<std::string> told_;
  size_t room_ = SIZE_MAX;  // For so many more messages.
  JwtWishes wishes_{
      *loop_, [this](const roles::ServeRequest& request) {
        if (room_ == 0) {
          return false;
        }
        --room_;
        const bool wanted = request.has_mint_jwt();
        const uint64_t number =
            wanted ? request.mint_jwt().request() : request.forget_jwt().request();
        told_.push_back(
            (wanted ? "+" : "-") + (number == 0 ? "" : std::to_string(number) + " ") +
            FakeServe::KeyText(wanted ? request.mint_jwt().key() : request.forget_jwt().key()));
        return true;
      }};
};

TEST_F(JwtWishesTest, AsksOnceForAllThatWaitForTheSame) {
  Waiter first, second;
  ASSERT_OK(Add("a", "x", first));
  ASSERT_OK(Add("a", "x", second));
  EXPECT_THAT(Told(), ElementsAre("+a x"));
  EXPECT_THAT(wishes_.Take(KeyOfText("a", "x"), 0), SizeIs(2));
  EXPECT_THAT(wishes_.Take(KeyOfText("a", "x"), 0), IsEmpty());
  ASSERT_OK(Add("a", "x", first, /*own=*/true));
  ASSERT_OK(Add("a", "x", second, /*own=*/true));
  EXPECT_THAT(Told(), ElementsAre("+2 a x", "+3 a x"));
  EXPECT_THAT(wishes_.Take(KeyOfText("a", "x"), 3), ElementsAre(&second));
}

TEST_F(JwtWishesTest, TellsWhenNobodyWaitsAnyMore) {
  Waiter first, second;
  ASSERT_OK(Add("a", "x", first));
  ASSERT_OK(Add("a", "x", second));
  ASSERT_OK(Add("b", "x", second, /*own=*/true));
  Told();
  wishes_.Forget(first);
  EXPECT_THAT(Told(), IsEmpty());
  wishes_.Forget(second);
  EXPECT_THAT(Told(), ElementsAre("-a x", "-2 b x"));
}

TEST_F(JwtWishesTest, OfWhatWasNotToldNothingIsForgotten) {
  room_ = 0;
  Waiter waiter;
  ASSERT_OK(Add("a", "x", waiter));
  wishes_.Forget(waiter);
  room_ = 10;
  PassRetry();
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(JwtWishesTest, TellsNoFasterThanIsReadAndByTurns) {
  room_ = 2;
  Waiter many, one;
  for (const char* audience : {"1", "2", "3", "4"}) {
    ASSERT_OK(Add("many", audience, many));
  }
  ASSERT_OK(Add("one", "x", one));
  EXPECT_THAT(Told(), ElementsAre("+many 1", "+many 2"));
  PassRetry();
  EXPECT_THAT(Told(), IsEmpty());
  room_ = 2;
  PassRetry();
  EXPECT_THAT(Told(), ElementsAre("+many 3", "+one x"));
}

TEST_F(JwtWishesTest, WhatIsForgottenIsToldFirstAndNeverPilesUp) {
  Waiter waiter, other;
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(Add("a", std::to_string(i), waiter));
  }
  EXPECT_THAT(Told(), SizeIs(10));
  room_ = 0;
  wishes_.Forget(waiter);
  for (int i = 10; i < 20; ++i) {
    ASSERT_OK(Add("a", std::to_string(i), waiter));
    wishes_.Forget(waiter);
  }
  ASSERT_OK(Add("a", "3", other));
  ASSERT_OK(Add("a", "new", other));
  room_ = 100;
  PassRetry();
  EXPECT_THAT(Told(), ElementsAre("-a 0", "-a 1", "-a 2", "-a 4", "-a 5", "-a 6", "-a 7", "-a 8",
                                  "-a 9", "+a new"))
      << "it still has the fourth";
}

TEST_F(JwtWishesTest, ANewIdentityRoleIsAskedForAll) {
  Waiter waiter;
  ASSERT_OK(Add("a", "x", waiter));
  ASSERT_OK(Add("a", "y", waiter, /*own=*/true));
  Told();
  wishes_.AskAgain();
  EXPECT_THAT(Told(), ElementsAre("+a x", "+2 a y"));
}

TEST_F(JwtWishesTest, WhoHasMostMakesWay) {
  std::vector<Waiter> waiters(JwtWishes::kMost);
  for (size_t i = 0; i < JwtWishes::kMost; ++i) {
    ASSERT_OK(Add("many", std::to_string(i), waiters[i]));
  }
  Told();
  Waiter one;
  ASSERT_OK(Add("one", "x", one));
  EXPECT_EQ(waiters.back().failure, "too many JWT-SVIDs are being fetched");
  EXPECT_THAT(Told(), ElementsAre("-many 4095", "+one x"));
  EXPECT_THAT(Add("many", "more", waiters.back()),
              StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_EQ(waiters.front().failure, "");
}

}  // namespace
}  // namespace assay
