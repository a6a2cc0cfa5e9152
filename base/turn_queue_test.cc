// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/turn_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<uint64_t> Drained(TurnQueue<std::string>& queue) {
  std::vector<uint64_t> drained;
  while (const auto number = queue.Front()) {
    drained.push_back(*number);
    queue.Pop();
  }
  return drained;
}

TEST(TurnQueueTest, OwnersTakeTurns) {
  TurnQueue<std::string> queue;
  for (uint64_t number = 1; number <= 4; ++number) {
    queue.Push("many", number);
  }
  queue.Push("one", 5);
  queue.Push("two", 6);
  queue.Push("two", 7);
  EXPECT_EQ(queue.CountOf("many"), 4u);
  EXPECT_THAT(Drained(queue), ElementsAre(1, 5, 6, 2, 7, 3, 4));
  EXPECT_TRUE(queue.empty());
}

TEST(TurnQueueTest, WhatIsRemovedTakesNoTurn) {
  TurnQueue<std::string> queue;
  queue.Push("a", 1);
  queue.Push("b", 2);
  queue.Push("b", 3);
  queue.Remove("a", 1);
  queue.Remove("a", 1);
  queue.Remove("b", 2);
  queue.Remove("b", 1);
  EXPECT_EQ(queue.CountOf("a"), 0u);
  EXPECT_THAT(Drained(queue), ElementsAre(3));
}

TEST(TurnQueueTest, WhoComesAgainGoesToTheEnd) {
  TurnQueue<std::string> queue;
  queue.Push("a", 1);
  queue.Push("b", 2);
  queue.Pop();
  queue.Push("a", 3);
  EXPECT_THAT(Drained(queue), ElementsAre(2, 3));
  EXPECT_THAT(Drained(queue), IsEmpty());
}

}  // namespace
}  // namespace assay
