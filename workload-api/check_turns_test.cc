// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/check_turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/fake_clock.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Turn = CheckTurns::Turn;

class CheckTurnsTest : public testing::Test {
 protected:
  class Waiter final : public CheckWaiter {
   public:
    Waiter(std::vector<std::string>& told, std::string name)
        : told_(told), name_(std::move(name)) {}
    void OnTurn() override { told_.push_back(name_); }

   private:
    std::vector<std::string>& told_;
    const std::string name_;
  };

  Turn Take(uid_t uid, const std::string& name, size_t cost = 1) {
    waiters_.push_back(std::make_unique<Waiter>(told_, name));
    return turns_.Take(uid, *waiters_.back(), cost);
  }
  void UseUp() {
    for (size_t i = 0; i < CheckTurns::kPerRound; ++i) {
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
  CheckTurns turns_{*loop_};
  std::vector<std::unique_ptr<Waiter>> waiters_;
};

TEST_F(CheckTurnsTest, FewAreDoneInARound) {
  UseUp();
  for (size_t i = 0; i < CheckTurns::kPerRound + 1; ++i) {
    EXPECT_EQ(Take(1, "later"), Turn::kLater);
  }
  EXPECT_THAT(Round(), SizeIs(CheckTurns::kPerRound));
  EXPECT_EQ(Take(1, "last"), Turn::kLater) << "others wait";
  EXPECT_THAT(Round(), ElementsAre("later", "last"));
  EXPECT_EQ(Take(1, ""), Turn::kNow);
}

TEST_F(CheckTurnsTest, UsersTakeTurns) {
  UseUp();
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    Take(1, name);
  }
  Take(2, "other");
  Take(3, "third");
  EXPECT_THAT(Round(), ElementsAre("a", "other", "third", "b", "c", "d", "e", "f"));
}

TEST_F(CheckTurnsTest, WhatCostsMoreThanARoundIsPaidForByThoseAfterIt) {
  EXPECT_EQ(Take(1, "", 2 * CheckTurns::kPerRound + 1), Turn::kNow);
  EXPECT_EQ(Take(1, "a", CheckTurns::kPerRound), Turn::kLater);
  EXPECT_EQ(Take(1, "b"), Turn::kLater);
  EXPECT_EQ(Take(2, "other", 3), Turn::kLater);
  EXPECT_THAT(Round(), IsEmpty());
  EXPECT_THAT(Round(), ElementsAre("a"));
  EXPECT_THAT(Round(), ElementsAre("other", "b"));
}

TEST_F(CheckTurnsTest, AUserMayNotHaveAnyNumberWait) {
  UseUp();
  for (size_t i = 0; i < CheckTurns::kMostOfUser; ++i) {
    ASSERT_EQ(Take(1, ""), Turn::kLater);
  }
  EXPECT_EQ(Take(1, ""), Turn::kNever);
  EXPECT_EQ(Take(2, ""), Turn::kLater);
}

TEST_F(CheckTurnsTest, WhoAsksTwiceOrGoesHasNoTurnsTooMany) {
  UseUp();
  Take(1, "twice");
  EXPECT_EQ(turns_.Take(1, *waiters_.back()), Turn::kLater);
  Take(1, "gone");
  turns_.Forget(*waiters_.back());
  EXPECT_THAT(Round(), ElementsAre("twice"));
  EXPECT_THAT(Round(), IsEmpty());
}

}  // namespace
}  // namespace assay
