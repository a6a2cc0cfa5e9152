// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_mint_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay {
namespace {

using testing::ElementsAre;

class MintQueueTest : public testing::Test {
 protected:
  MintQueue::Number Add(const std::string& entry, const std::string& audience, bool waiting = true,
                        absl::Duration ready_at = absl::ZeroDuration()) {
    return queue_.Add({.key = {.entry_id = entry, .audience = {audience}},
                       .waiting = waiting,
                       .ready_at = ready_at});
  }
  // The audiences in the order in which they begin.
  std::vector<std::string> Begun(MintQueue::Replacing replacing = MintQueue::Replacing::kLast) {
    std::vector<std::string> begun;
    for (auto next = queue_.Next(kNow, replacing); next.has_value();
         next = queue_.Next(kNow, replacing)) {
      begun.push_back(queue_.At(*next).key.audience[0]);
      queue_.Begin(*next);
    }
    return begun;
  }

  static constexpr absl::Duration kNow = absl::Seconds(10);
  MintQueue queue_;
};

TEST_F(MintQueueTest, EntriesTakeTurns) {
  for (const char* audience : {"a1", "a2", "a3", "a4"}) {
    Add("a", audience);
  }
  queue_.Begin(*queue_.Next(kNow, MintQueue::Replacing::kLast));
  Add("b", "b1");
  Add("c", "c1");
  Add("b", "b2");
  EXPECT_THAT(Begun(), ElementsAre("b1", "c1", "a2", "b2", "a3", "a4"));
}

TEST_F(MintQueueTest, CallersComeFirstAndWhatMayNotBeginYetLast) {
  Add("a", "replaced", false);
  Add("b", "later", true, kNow + absl::Seconds(1));
  Add("c", "sooner", false, kNow + absl::Milliseconds(1));
  Add("d", "waits");
  EXPECT_THAT(Begun(), ElementsAre("waits", "replaced", "sooner", "later"));
}

TEST_F(MintQueueTest, WhatIsOnlyReplacedMayHaveToWait) {
  Add("a", "replaced", false);
  Add("b", "waits");
  EXPECT_THAT(Begun(MintQueue::Replacing::kNone), ElementsAre("waits"));
}

TEST_F(MintQueueTest, WhatIsOnlyReplacedMayComeFirst) {
  Add("a", "waits");
  Add("b", "later", false, kNow + absl::Seconds(1));
  Add("c", "replaced", false);
  EXPECT_THAT(Begun(MintQueue::Replacing::kFirst), ElementsAre("replaced", "waits", "later"));
}

TEST_F(MintQueueTest, WhatReplacesNothingAnyMoreHoldsAPlace) {
  const auto add = [this](const std::string& audience) {
    return queue_.Add({.key = {.entry_id = "a", .audience = {audience}}, .replaces = true});
  };
  const auto here = add("here"), away = add("away");
  queue_.Begin(away);
  queue_.TakePlace(away);
  EXPECT_EQ(queue_.WhoMakesWay("b"), std::nullopt);
  queue_.TakePlace(here);
  EXPECT_EQ(queue_.WhoMakesWay("b"), here);
  queue_.End(away);
  EXPECT_EQ(queue_.WhoMakesWay("b"), away);
}

TEST_F(MintQueueTest, FindsEachByKeyAndRequest) {
  const auto number = Add("a", "x");
  const JwtSvidKey key = queue_.At(number).key;
  EXPECT_EQ(queue_.Find(key, 0), number);
  EXPECT_EQ(queue_.Find(key, 7), std::nullopt);
  const auto own = queue_.Add({.key = key, .request = 7});
  EXPECT_EQ(queue_.Find(key, 7), own);
  EXPECT_THAT(queue_.OfEntry("a"), ElementsAre(number, own));
  queue_.Remove(number);
  EXPECT_EQ(queue_.Find(key, 0), std::nullopt);
  EXPECT_THAT(queue_.All(), ElementsAre(own));
}

TEST_F(MintQueueTest, TheEntryWithMostMakesWayButNotForWhatIsAwayOrReplaced) {
  const auto first = Add("many", "first");
  const auto second = Add("many", "second");
  const auto third = Add("many", "third");
  queue_.Add({.key = {.entry_id = "many", .audience = {"valid"}}, .replaces = true});
  EXPECT_EQ(queue_.WhoMakesWay("one"), third);
  EXPECT_EQ(queue_.WhoMakesWay("many"), std::nullopt);
  queue_.Begin(third);
  EXPECT_EQ(queue_.WhoMakesWay("one"), second);
  queue_.End(third);
  EXPECT_EQ(queue_.WhoMakesWay("one"), third);
  queue_.Remove(third);
  queue_.Remove(second);
  queue_.Remove(first);
  EXPECT_EQ(queue_.WhoMakesWay("one"), std::nullopt);
  for (size_t i = 0; i < MintQueue::kMostPlaces; ++i) {
    EXPECT_FALSE(queue_.is_full());
    Add("many", std::to_string(i));
  }
  EXPECT_TRUE(queue_.is_full());
}

}  // namespace
}  // namespace assay
