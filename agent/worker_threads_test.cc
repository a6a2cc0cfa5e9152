// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/worker_threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>

namespace assay {
namespace {

constexpr auto kLong = std::chrono::seconds(20);

TEST(WorkerThreadsTest, RunsJobsAtTheSameTime) {
  WorkerThreads workers(2, 10);
  std::promise<void> first_runs;
  std::promise<void> second_runs;
  std::promise<void> done;
  ASSERT_TRUE(workers.Run(1, [&] {
    first_runs.set_value();
    EXPECT_EQ(second_runs.get_future().wait_for(kLong), std::future_status::ready);
    done.set_value();
  }));
  ASSERT_TRUE(workers.Run(2, [&] {
    EXPECT_EQ(first_runs.get_future().wait_for(kLong), std::future_status::ready);
    second_runs.set_value();
  }));
  EXPECT_EQ(done.get_future().wait_for(kLong), std::future_status::ready);
}

TEST(WorkerThreadsTest, LeavesAThreadToOtherOwners) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::promise<void> other_ran;
  WorkerThreads workers(2, 10, /*max_of_owner=*/1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(workers.Run(1, [released] { released.wait(); }));
  }
  ASSERT_TRUE(workers.Run(2, [&] { other_ran.set_value(); }));
  EXPECT_EQ(other_ran.get_future().wait_for(kLong), std::future_status::ready);
  release.set_value();
}

TEST(WorkerThreadsTest, AThreadThatIsFreeGoesToWhoHasNone) {
  std::promise<void> release_first, release_second, owner_waited, other_ran;
  const std::shared_future<void> first = release_first.get_future().share();
  const std::shared_future<void> second = release_second.get_future().share();
  std::future<void> other = other_ran.get_future();
  WorkerThreads workers(2, 10, /*max_of_owner=*/2);
  ASSERT_TRUE(workers.Run(1, [first] { first.wait(); }));
  ASSERT_TRUE(workers.Run(1, [second] { second.wait(); }));
  ASSERT_TRUE(workers.Run(1, [&] {
    EXPECT_EQ(other.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    owner_waited.set_value();
  }));
  ASSERT_TRUE(workers.Run(2, [&] { other_ran.set_value(); }));
  release_second.set_value();
  EXPECT_EQ(owner_waited.get_future().wait_for(kLong), std::future_status::ready);
  release_first.set_value();
}

TEST(WorkerThreadsTest, RefusesWhenTheQueueIsFull) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::promise<void> runs;
  WorkerThreads workers(1, 1);
  ASSERT_TRUE(workers.Run(1, [&runs, released] {
    runs.set_value();
    released.wait();
  }));
  ASSERT_EQ(runs.get_future().wait_for(kLong), std::future_status::ready);
  EXPECT_TRUE(workers.Run(1, [] {}));
  EXPECT_FALSE(workers.Run(1, [] {}));
  release.set_value();
}

}  // namespace
}  // namespace assay
