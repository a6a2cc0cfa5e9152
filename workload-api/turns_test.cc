// SPDX-License-Identifier: GPL-3.0-or-later
// Whose work is done when.
#include "workload-api/turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/fake_clock.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class TurnsTest : public testing::Test {
 protected:
  struct Taker final : TurnTaker {
    Taker(TurnsTest& test, std::string name, size_t cost = 0)
        : test_(test), name_(std::move(name)), cost_(cost) {}
    size_t OnTurn() override {
      test_.done_.push_back(name_);
      if (again > 0) {
        --again;
        test_.turns_.Add(1, *this);
      }
      return cost_;
    }
    int again = 0;
    TurnsTest& test_;
    const std::string name_;
    const size_t cost_;
  };

  void Round() {
    done_.clear();
    loop_->RunOnce(absl::ZeroDuration());
  }

  FakeClock clock_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  Turns turns_{*loop_};
  std::vector<std::string> done_;
};

TEST_F(TurnsTest, AreTakenInTheNextRoundOnceForAllThatIsAskedFor) {
  Taker a(*this, "a");
  turns_.Add(1, a);
  turns_.Add(1, a);
  EXPECT_TRUE(Turns::Waits(a));
  EXPECT_THAT(done_, IsEmpty());
  Round();
  EXPECT_THAT(done_, ElementsAre("a"));
  EXPECT_FALSE(Turns::Waits(a));
  Round();
  EXPECT_THAT(done_, IsEmpty());
  turns_.Add(1, a);
  Round();
  EXPECT_THAT(done_, ElementsAre("a"));
}

TEST_F(TurnsTest, ManyOfOneUserDoNotComeBeforeOneOfAnother) {
  std::vector<std::unique_ptr<Taker>> many;
  for (int i = 0; i < 3; ++i) {
    turns_.Add(1, *many.emplace_back(std::make_unique<Taker>(*this, "many")));
  }
  Taker other(*this, "other"), third(*this, "third");
  turns_.Add(2, other);
  turns_.Add(3, third);
  Round();
  EXPECT_THAT(done_, ElementsAre("many", "other", "third", "many", "many"));
}

TEST_F(TurnsTest, ARoundHasOnlySoMuch) {
  std::vector<std::unique_ptr<Taker>> large;
  for (int i = 0; i < 3; ++i) {
    turns_.Add(1, *large.emplace_back(std::make_unique<Taker>(*this, "large", 1024)));
  }
  Taker other(*this, "other");
  turns_.Add(2, other);
  Round();
  EXPECT_THAT(done_, ElementsAre("large"));
  Round();
  EXPECT_THAT(done_, ElementsAre("other", "large"));
  Round();
  EXPECT_THAT(done_, ElementsAre("large"));
}

TEST_F(TurnsTest, OneThatAlwaysHasMoreDoesNotHoldTheLoop) {
  Taker a(*this, "a");
  a.again = 1 << 20;
  turns_.Add(1, a);
  Round();
  EXPECT_THAT(done_, SizeIs(Turns::kCostPerRound));
  Taker other(*this, "other");
  turns_.Add(2, other);
  Round();
  EXPECT_EQ(done_[1], "other");
  turns_.Forget(1, a);
}

TEST_F(TurnsTest, WhatIsForgottenHasNoTurn) {
  Taker a(*this, "a"), b(*this, "b");
  turns_.Add(1, a);
  turns_.Add(1, b);
  turns_.Forget(1, a);
  turns_.Forget(1, a);
  Round();
  EXPECT_THAT(done_, ElementsAre("b"));
  turns_.Add(1, a);
  turns_.Forget(1, a);
  Round();
  EXPECT_THAT(done_, IsEmpty());
  turns_.Add(1, a);
  Round();
  EXPECT_THAT(done_, ElementsAre("a"));
}

}  // namespace
}  // namespace assay
