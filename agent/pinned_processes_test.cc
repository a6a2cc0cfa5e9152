// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/pinned_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "assay/roles.pb.h"
#include "base/sandbox/channel.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::_;
using testing::ElementsAre;

constexpr uid_t kAsker = 4321;

// A child that does nothing until it is killed.
class Child final {
 public:
  Child() : pid_(fork()) {
    if (pid_ == 0) {
      for (;;) {
        pause();
      }
    }
  }
  ~Child() { Kill(); }
  void Kill() {
    if (!killed_) {
      killed_ = true;
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
  bool killed_ = false;
};

// A probe that writes down what it is asked.
class PinnedProcessesTest : public testing::Test {
 protected:
  PinnedProcessesTest() {
    auto ends = Channel::MakePair().value();
    probe_ = Channel::Create(
                 *loop_, std::move(ends.first),
                 [this](std::string_view bytes, UniqueFd pidfd) {
                   asked_.emplace();
                   EXPECT_TRUE(asked_->ParseFromString(std::string(bytes)));
                   EXPECT_TRUE(pidfd.valid());
                 },
                 [](const absl::Status&) {})
                 .value();
    EXPECT_OK(client_.Link(std::move(ends.second)));
  }
  void Settle() {
    for (int i = 0; i < 20; ++i) {
      loop_->RunOnce(absl::ZeroDuration());
    }
  }
  auto Open(pid_t pid) {
    return processes_.Open(pid, kAsker, [this] { ++ended_; });
  }
  void Attest(ReferredProcess& process) {
    process.Attest([this](auto selectors) { found_ = std::move(selectors); });
    Settle();
    ASSERT_TRUE(asked_.has_value());
  }
  void Answer() {
    roles::AttestReply reply;
    reply.set_id(asked_->id());
    reply.add_selectors()->set_type("unix");
    reply.mutable_selectors(0)->set_value("uid:1");
    EXPECT_OK(probe_->Send(reply));
    Settle();
  }

  FakeClock clock_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  ProbeClient client_{*loop_, clock_, [](const absl::Status&) {}};
  std::unique_ptr<Channel> probe_;
  std::optional<roles::AttestRequest> asked_;
  PinnedProcesses processes_{*loop_, client_, /*most=*/2};
  int ended_ = 0;
  std::optional<absl::StatusOr<std::vector<Selector>>> found_;
};

TEST_F(PinnedProcessesTest, AProcessIsAttestedWhoeversItIs) {
  Child child;
  auto process = Open(child.pid());
  ASSERT_OK(process);
  Attest(**process);
  EXPECT_EQ(asked_->pid(), child.pid());
  EXPECT_TRUE(asked_->any_owner());
  EXPECT_FALSE(asked_->has_groups());
  Answer();
  ASSERT_TRUE(found_.has_value());
  ASSERT_OK(*found_);
  EXPECT_THAT(**found_, ElementsAre(Selector{"unix", "uid:1"}));
}

// Whatever the probe found is of no use then: the number may be another's.
TEST_F(PinnedProcessesTest, WhoEndsWhileItIsAttestedHasNoSelectors) {
  Child child;
  auto process = Open(child.pid());
  ASSERT_OK(process);
  Attest(**process);
  child.Kill();
  Answer();
  ASSERT_TRUE(found_.has_value());
  EXPECT_THAT(*found_, StatusIs(absl::StatusCode::kNotFound, _));
  EXPECT_EQ(ended_, 1);
}

TEST_F(PinnedProcessesTest, ThereIsNoSuchProcess) {
  pid_t gone = 0;
  {
    Child child;
    gone = child.pid();
  }
  for (const pid_t pid : {gone, -1, 0, INT32_MIN, INT32_MAX}) {
    EXPECT_THAT(Open(pid), StatusIs(absl::StatusCode::kNotFound, _)) << pid;
  }
}

// Each takes a descriptor of serve's, which its callers' connections need too.
TEST_F(PinnedProcessesTest, NoMoreThanSoManyAtATime) {
  Child child;
  auto first = Open(child.pid());
  ASSERT_OK(first);
  const auto second = Open(child.pid());
  ASSERT_OK(second);
  EXPECT_THAT(Open(child.pid()), StatusIs(absl::StatusCode::kResourceExhausted, _));
  first->reset();
  EXPECT_OK(Open(child.pid()));
}

}  // namespace
}  // namespace assay
