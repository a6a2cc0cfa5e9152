// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_signing_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

TEST(SigningQueueTest, WaitingCallersGoFirstThenWhatExpiresSoonestThenPrefetch) {
  SigningQueue queue;
  queue.Add("prefetch", Urgency::kPrefetch);
  queue.Add("late", Urgency::kExpiring, kNow + absl::Hours(2));
  queue.Add("soon", Urgency::kExpiring, kNow + absl::Hours(1));
  queue.Add("waiting", Urgency::kWaiting);
  EXPECT_TRUE(queue.has_waiting());
  EXPECT_THAT(queue.TakeBatch(), ElementsAre("waiting"));
  queue.Finish(true);
  EXPECT_THAT(queue.TakeBatch(), ElementsAre("soon", "late"));
  queue.Finish(true);
  EXPECT_THAT(queue.TakeBatch(), ElementsAre("prefetch"));
}

TEST(SigningQueueTest, OneBatchIsAwayAtATime) {
  SigningQueue queue;
  queue.Add("a", Urgency::kPrefetch);
  EXPECT_THAT(queue.TakeBatch(), ElementsAre("a"));
  queue.Add("b", Urgency::kWaiting);
  EXPECT_THAT(queue.TakeBatch(), IsEmpty());
  queue.Finish(true);
  EXPECT_THAT(queue.TakeBatch(), ElementsAre("b"));
}

TEST(SigningQueueTest, AnEntryMovesForwardAndNeverBack) {
  SigningQueue queue;
  queue.Add("a", Urgency::kPrefetch);
  queue.Add("b", Urgency::kPrefetch);
  queue.Add("b", Urgency::kWaiting);
  queue.Add("b", Urgency::kPrefetch);
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_THAT(queue.TakeBatch(), ElementsAre("b"));
}

TEST(SigningQueueTest, PrefetchedBatchesAreSmallAndOthersAsLargeAsTheUpstreamTakes) {
  SigningQueue queue;
  for (int i = 0; i < 2000; ++i) {
    queue.Add("p" + std::to_string(i), Urgency::kPrefetch);
    queue.Add("e" + std::to_string(i), Urgency::kExpiring, kNow);
  }
  EXPECT_THAT(queue.TakeBatch(), SizeIs(500));
  for (int i = 0; i < 2000; ++i) {
    queue.Remove("e" + std::to_string(i));
  }
  queue.Finish(true);
  EXPECT_THAT(queue.TakeBatch(), SizeIs(100));
}

TEST(SigningQueueTest, AFailureHalvesTheNextBatchAndASuccessDoublesIt) {
  SigningQueue queue;
  for (int i = 0; i < 5000; ++i) {
    queue.Add(std::to_string(i), Urgency::kExpiring, kNow);
  }
  const auto next_size = [&](bool success) {
    queue.Finish(success);
    return queue.TakeBatch().size();
  };
  EXPECT_THAT(queue.TakeBatch(), SizeIs(500));
  EXPECT_EQ(next_size(false), 250u);
  EXPECT_EQ(next_size(false), 125u);
  EXPECT_EQ(next_size(true), 250u);
  for (int i = 0; i < 12; ++i) {
    queue.Finish(false);
  }
  EXPECT_THAT(queue.TakeBatch(), SizeIs(1));
}

TEST(SigningQueueTest, RemovedEntriesAreNotSigned) {
  SigningQueue queue;
  queue.Add("a", Urgency::kWaiting);
  queue.Remove("a");
  queue.Remove("unknown");
  EXPECT_TRUE(queue.empty());
  EXPECT_THAT(queue.TakeBatch(), IsEmpty());
  EXPECT_FALSE(queue.is_away());
}

}  // namespace
}  // namespace assay
