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
using Turn = Turns::Turn;

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
  turns_.Forget(a);
}

TEST_F(TurnsTest, WhatCostsMoreThanARoundIsPaidForByThoseAfterIt) {
  Taker large(*this, "large", 2 * Turns::kCostPerRound), other(*this, "other");
  turns_.Add(1, large);
  turns_.Add(2, other);
  Round();
  EXPECT_THAT(done_, ElementsAre("large"));
  Round();
  EXPECT_THAT(done_, IsEmpty());
  Round();
  EXPECT_THAT(done_, ElementsAre("other"));
}

TEST_F(TurnsTest, WhatIsForgottenHasNoTurn) {
  Taker a(*this, "a"), b(*this, "b");
  turns_.Add(1, a);
  turns_.Add(1, b);
  turns_.Forget(a);
  turns_.Forget(a);
  Round();
  EXPECT_THAT(done_, ElementsAre("b"));
  turns_.Add(1, a);
  turns_.Forget(a);
  Round();
  EXPECT_THAT(done_, IsEmpty());
  turns_.Add(1, a);
  Round();
  EXPECT_THAT(done_, ElementsAre("a"));
}

// Turns that are taken at once where that can be.
class ImmediateTurnsTest : public testing::Test {
 protected:
  static constexpr size_t kPerRound = 8, kMostOfUser = 100;

  class Taker final : public TurnTaker {
   public:
    Taker(std::vector<std::string>& told, std::string name, size_t cost)
        : told_(told), name_(std::move(name)), cost_(cost) {}
    size_t OnTurn() override {
      told_.push_back(name_);
      return cost_;
    }

   private:
    std::vector<std::string>& told_;
    const std::string name_;
    const size_t cost_;
  };

  Turn Take(uid_t user, const std::string& name, size_t cost = 0) {
    takers_.push_back(std::make_unique<Taker>(told_, name, cost));
    return turns_.Take(user, *takers_.back(), cost);
  }
  void UseUp() {
    for (size_t i = 0; i < kPerRound; ++i) {
      ASSERT_EQ(Take(1, ""), Turn::kNow);
    }
  }
  // Those that had their turn in a round of the loop.
  std::vector<std::string> Round() {
    told_.clear();
    loop_->RunOnce(absl::ZeroDuration());
    return told_;
  }

  FakeClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  std::vector<std::string> told_;
  Turns turns_{*loop_, {.cost_per_round = kPerRound, .most_of_user = kMostOfUser}};
  std::vector<std::unique_ptr<Taker>> takers_;
};

TEST_F(ImmediateTurnsTest, FewAreDoneInARound) {
  UseUp();
  for (size_t i = 0; i < kPerRound + 1; ++i) {
    EXPECT_EQ(Take(1, "later"), Turn::kLater);
  }
  EXPECT_THAT(Round(), SizeIs(kPerRound));
  EXPECT_EQ(Take(1, "last"), Turn::kLater) << "others wait";
  EXPECT_THAT(Round(), ElementsAre("later", "last"));
  EXPECT_EQ(Take(1, ""), Turn::kNow);
}

TEST_F(ImmediateTurnsTest, UsersTakeTurns) {
  UseUp();
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    Take(1, name);
  }
  Take(2, "other");
  Take(3, "third");
  EXPECT_THAT(Round(), ElementsAre("a", "other", "third", "b", "c", "d", "e", "f"));
}

TEST_F(ImmediateTurnsTest, WhatCostsMoreThanARoundIsPaidForByThoseAfterIt) {
  EXPECT_EQ(Take(1, "", 2 * kPerRound), Turn::kNow);
  EXPECT_EQ(Take(1, "a", kPerRound - 1), Turn::kLater);
  EXPECT_EQ(Take(1, "b"), Turn::kLater);
  EXPECT_EQ(Take(2, "other", 2), Turn::kLater);
  EXPECT_THAT(Round(), IsEmpty());
  EXPECT_THAT(Round(), ElementsAre("a"));
  EXPECT_THAT(Round(), ElementsAre("other", "b"));
}

TEST_F(ImmediateTurnsTest, AUserMayNotHaveAnyNumberWait) {
  UseUp();
  for (size_t i = 0; i < kMostOfUser; ++i) {
    ASSERT_EQ(Take(1, ""), Turn::kLater);
  }
  EXPECT_EQ(Take(1, ""), Turn::kNever);
  EXPECT_EQ(Take(2, ""), Turn::kLater);
}

TEST_F(ImmediateTurnsTest, WhoAsksTwiceOrGoesHasNoTurnsTooMany) {
  UseUp();
  Take(1, "twice");
  EXPECT_EQ(turns_.Take(1, *takers_.back(), 0), Turn::kLater);
  Take(1, "gone");
  turns_.Forget(*takers_.back());
  EXPECT_THAT(Round(), ElementsAre("twice"));
  EXPECT_THAT(Round(), IsEmpty());
}

}  // namespace
}  // namespace assay
