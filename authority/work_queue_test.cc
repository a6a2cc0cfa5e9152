// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/work_queue.h"

#include <gmock/gmock.h>

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
