// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/support/fake_clock.h"

namespace assay {
namespace {

TEST(EventLoopTest, TimersFireInOrderOfTheirDeadlines) {
  FakeClock clock;
  auto loop = *EventLoop::Create(clock);
  std::string order;
  loop->After(absl::Seconds(2), [&] { order += 'b'; });
  loop->After(absl::Seconds(1), [&] { order += 'a'; });
  const auto cancelled = loop->After(absl::Seconds(1), [&] { order += 'x'; });
  loop->Cancel(cancelled);
  loop->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(order, "");
  clock.Advance(absl::Seconds(3));
  loop->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(order, "ab");
}

TEST(EventLoopTest, ATimerThatSetsItselfAgainDoesNotHoldTheRound) {
  FakeClock clock;
  auto loop = *EventLoop::Create(clock);
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    loop->After(absl::ZeroDuration(), again);
  };
  again();
  loop->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(runs, 2);
}

TEST(EventLoopTest, WorkPostedFromAnotherThreadWakesTheLoop) {
  SystemClock clock;
  auto loop = *EventLoop::Create(clock);
  std::thread poster([&] { loop->Post([&] { loop->Stop(); }); });
  loop->Run();
  poster.join();
}

TEST(EventLoopTest, AStaleEventOfAReusedDescriptorIsDropped) {
  SystemClock clock;
  auto loop = *EventLoop::Create(clock);
  int first[2], second[2];
  ASSERT_EQ(pipe(first), 0);
  ASSERT_EQ(pipe(second), 0);
  int calls = 0;
  const auto replace = [&](int mine, int other) {
    return [&, mine, other](uint32_t) {
      ++calls;
      loop->Unwatch(other);
      ASSERT_TRUE(loop->Watch(other, EPOLLIN, [&](uint32_t) { FAIL() << "stale event"; }).ok());
      loop->Unwatch(mine);
    };
  };
  ASSERT_TRUE(loop->Watch(first[0], EPOLLIN, replace(first[0], second[0])).ok());
  ASSERT_TRUE(loop->Watch(second[0], EPOLLIN, replace(second[0], first[0])).ok());
  ASSERT_EQ(write(first[1], "x", 1) + write(second[1], "x", 1), 2);
  loop->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace assay
