// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/work_queue.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>

#include <future>
#include <vector>

namespace assay {
namespace {

using testing::ElementsAre;

TEST(WorkQueueTest, DoesItsWorkInOrderBeforeItEnds) {
  std::vector<int> done;
  {
    WorkQueue queue;
    for (int i = 0; i < 3; ++i) {
      queue.Post([&done, i] { done.push_back(i); });
    }
  }
  EXPECT_THAT(done, ElementsAre(0, 1, 2));
}

TEST(WorkQueueTest, DropsWhatHasNotBegunWhereItMay) {
  bool second = false;
  std::promise<void> begun;
  {
    WorkQueue queue(1, WorkQueue::AtEnd::kDrop);
    std::promise<void> posted;
    queue.Post([&] {
      posted.get_future().wait();
      begun.set_value();
      // Until the queue has ended; were the second kept, not for ever.
      const absl::Time last = absl::Now() + absl::Seconds(5);
      while (queue.waiting() > 0 && absl::Now() < last) {
        std::this_thread::yield();
      }
    });
    queue.Post([&second] { second = true; });
    posted.set_value();
    begun.get_future().wait();
  }
  EXPECT_FALSE(second);
}

TEST(WorkQueueTest, HandsResultsToTheLoop) {
  const SystemClock clock;
  const auto loop = EventLoop::Create(clock).value();
  WorkQueue queue;
  int result = 0;
  std::thread::id worker;
  queue.Run(
      *loop,
      [&worker] {
        worker = std::this_thread::get_id();
        return 42;
      },
      [&](int value) {
        result = value;
        loop->Stop();
      });
  loop->Run();
  EXPECT_EQ(result, 42);
  EXPECT_NE(worker, std::this_thread::get_id());
}

}  // namespace
}  // namespace assay
