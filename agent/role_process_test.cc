// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "assay/roles.pb.h"
#include "base/files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::HasSubstr;

const User kUser{.name = "someone", .uid = 4242, .gid = 4343, .groups = {4343, 4444}};

TEST(RestartBackoffTest, StartsAtOnceThenDoublesUpToFiveSeconds) {
  RestartBackoff backoff;
  EXPECT_EQ(backoff.Next(absl::ZeroDuration()), absl::ZeroDuration());
  EXPECT_EQ(backoff.Next(absl::ZeroDuration()), absl::Milliseconds(100));
  EXPECT_EQ(backoff.Next(absl::ZeroDuration()), absl::Milliseconds(200));
  for (int i = 0; i < 10; ++i) {
    backoff.Next(absl::ZeroDuration());
  }
  EXPECT_EQ(backoff.Next(absl::ZeroDuration()), absl::Seconds(5));
  EXPECT_EQ(backoff.Next(RestartBackoff::kLongLife), absl::ZeroDuration());
}

TEST(RoleProcessTest, GivesTheProgramItsArgumentsLogAndChannel) {
  FakeClock clock;
  auto loop = EventLoop::Create(clock).value();
  TempFolder folder;
  const std::string script = folder.path() + "/role";
  ASSERT_OK(WriteFileAtomically(script,
                                "#!/bin/sh\n"
                                "echo \"$1 $2 $(readlink /proc/self/fd/3 | cut -c1-6)\"\n"
                                "ls /proc/self/fd | wc -l\n"
                                "echo \"$SECRET_OF_ROOT $TZ $(readlink /proc/self/fd/0)\"\n"
                                "test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leader\n",
                                0755));
  int log[2];
  ASSERT_EQ(pipe2(log, O_CLOEXEC), 0);
  Privileges privileges = PrivilegesOf(SpecOf(roles::SERVE), geteuid(), std::nullopt);
  setenv("SECRET_OF_ROOT", "secret", 1);
  setenv("TZ", "Here/There", 1);
  auto process = RoleProcess::Start(SpecOf(roles::SERVE),
                                    {.executable = script, .name = "assay", .log_fd = log[1]},
                                    privileges, *loop, [](std::string_view, UniqueFd) {});
  ASSERT_OK(process);
  unsetenv("SECRET_OF_ROOT");
  unsetenv("TZ");
  close(log[1]);
  std::string output;
  char buffer[256];
  for (ssize_t got; (got = read(log[0], buffer, sizeof(buffer))) > 0;) {
    output.append(buffer, static_cast<size_t>(got));
  }
  close(log[0]);
  EXPECT_EQ(DescribeExit((*process)->Reap()), "exit status 0");
  // Descriptors 0 to 3, and the one that ls reads the folder with.
  EXPECT_EQ(output, "role serve socket\n5\n Here/There /dev/null\nleader\n");
}

TEST(RoleProcessTest, WhatItStartedDoesNotOutliveIt) {
  FakeClock clock;
  auto loop = EventLoop::Create(clock).value();
  TempFolder folder;
  const std::string script = folder.path() + "/role";
  ASSERT_OK(WriteFileAtomically(script, "#!/bin/sh\nsleep 1000 &\nexit 3\n", 0755));
  int log[2];
  ASSERT_EQ(pipe2(log, O_CLOEXEC), 0);
  auto process = RoleProcess::Start(SpecOf(roles::SERVE),
                                    {.executable = script, .name = "assay", .log_fd = log[1]},
                                    PrivilegesOf(SpecOf(roles::SERVE), geteuid(), std::nullopt),
                                    *loop, [](std::string_view, UniqueFd) {});
  ASSERT_OK(process);
  close(log[1]);
  EXPECT_EQ(DescribeExit((*process)->Reap()), "exit status 3");
  // Whoever lives and could write to the log keeps its end open.
  pollfd ended{.fd = log[0], .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&ended, 1, 10'000), 1);
  close(log[0]);
}

TEST(RoleProcessTest, SaysHowAProcessEnded) {
  EXPECT_EQ(DescribeExit(W_EXITCODE(3, 0)), "exit status 3");
  EXPECT_EQ(DescribeExit(W_EXITCODE(0, SIGSEGV)), "signal 11 (Segmentation fault)");
}

TEST(PrivilegesTest, RunsAsTheUserWhenStartedByRoot) {
  const Privileges probe = PrivilegesOf(SpecOf(roles::PROBE), 0, kUser);
  EXPECT_TRUE(probe.change_user);
  EXPECT_EQ(probe.uid, kUser.uid);
  EXPECT_EQ(probe.groups, kUser.groups);
  EXPECT_EQ(probe.capabilities, 1u << CAP_SYS_PTRACE | 1u << CAP_DAC_READ_SEARCH);
  const Privileges serve = PrivilegesOf(SpecOf(roles::SERVE), 0, kUser);
  EXPECT_EQ(serve.capabilities, 0u);
}

TEST(PrivilegesTest, StaysWhoItIsWithoutRoot) {
  const Privileges serve = PrivilegesOf(SpecOf(roles::SERVE), 1000, kUser);
  EXPECT_FALSE(serve.change_user);
  EXPECT_EQ(serve.uid, 1000u);
}

TEST(PrivilegesTest, GivesEachRoleAUserOfItsOwnThatIsNotRoot) {
  RoleSpec spec = SpecOf(roles::SERVE);
  spec.user = "no-such-user-here";
  const auto unnamed = FindRoleUser(spec);
  ASSERT_OK(unnamed);
  EXPECT_EQ(unnamed->uid, spec.unnamed_id);
  EXPECT_EQ(unnamed->gid, spec.unnamed_id);
  EXPECT_TRUE(unnamed->groups.empty());
  spec.unnamed_id = 1;  // The user daemon, or bin.
  EXPECT_THAT(FindRoleUser(spec),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("have a name here")));
  spec.user = "root";
  EXPECT_THAT(FindRoleUser(spec),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("never runs as root")));
  spec.user = "nobody";
  EXPECT_NE(FindRoleUser(spec)->uid, 0u);
}

TEST(PrivilegesTest, DropsUserGroupsAndCapabilitiesForGood) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  const Privileges privileges = PrivilegesOf(SpecOf(roles::PROBE), 0, kUser);
  const pid_t child = fork();
  if (child == 0) {
    const bool done = Assume(privileges) && getuid() == kUser.uid && getgid() == kUser.gid &&
                      getgroups(0, nullptr) == 2 && setuid(0) != 0;
    const std::string status = ReadFile("/proc/self/status").value_or("");
    const bool caps = status.find("CapEff:\t0000000000080004") != status.npos &&
                      status.find("CapAmb:\t0000000000080004") != status.npos &&
                      status.find("CapBnd:\t0000000000080004") != status.npos &&
                      status.find("NoNewPrivs:\t1") != status.npos;
    _exit(done ? (caps ? 0 : 2) : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(DescribeExit(status), "exit status 0");
}

}  // namespace
}  // namespace assay
