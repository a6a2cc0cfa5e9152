// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/outside_work.h"

#include <gmock/gmock.h>

#include <future>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

class OutsideWorkTest : public testing::Test {
 protected:
  ~OutsideWorkTest() override {
    if (!is_open_) {
      opened_.set_value();
    }
  }
  // Work that waits until the test lets all go on.
  absl::Status Begin(const std::string& caller, const std::string& machine) {
    return outside_.Run(
        {caller, machine},
        [gate = gate_] {
          gate.wait();
          return 1;
        },
        [this](int result) { done_ += result; });
  }
  void AwaitDone(int count) {
    opened_.set_value();
    is_open_ = true;
    while (done_ < count) {
      loop_->RunOnce(absl::Seconds(10));
    }
  }

  const SystemClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  std::promise<void> opened_;
  const std::shared_future<void> gate_ = opened_.get_future().share();
  bool is_open_ = false;
  int done_ = 0;
  OutsideWork outside_{*loop_};
};

TEST_F(OutsideWorkTest, TakesTwoOfACallerAndOneOfThemForAMachine) {
  ASSERT_OK(Begin("10.0.0.1", "a"));
  EXPECT_THAT(Begin("10.0.0.1", "a"),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("\"a\" is being asked already")));
  ASSERT_OK(Begin("10.0.0.1", "b"));
  EXPECT_THAT(Begin("10.0.0.1", "c"),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("too many nodes attest")));
  ASSERT_OK(Begin("10.0.0.2", "c"));
  AwaitDone(3);
  EXPECT_OK(Begin("10.0.0.1", "a"));
}

TEST_F(OutsideWorkTest, OneCallerDoesNotLockOutAMachineForAnother) {
  ASSERT_OK(Begin("10.0.0.1", "a"));
  EXPECT_OK(Begin("10.0.0.2", "a"));
  AwaitDone(2);
}

TEST_F(OutsideWorkTest, TakesSoManyInAll) {
  for (int i = 0; i < 64; ++i) {
    ASSERT_OK(Begin(fmt::format("10.0.0.{}", i), fmt::format("n{}", i)));
  }
  EXPECT_THAT(Begin("10.0.1.1", "other"),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("too many nodes attest")));
  AwaitDone(64);
  EXPECT_OK(Begin("10.0.1.1", "other"));
}

}  // namespace
}  // namespace assay
