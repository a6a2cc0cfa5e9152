// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "assay/roles.pb.h"
#include "base/files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::HasSubstr;

const User kUser{.name = "someone", .uid = 4242, .gid = 4343, .groups = {4343, 4444}};

uid_t OwnerOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_uid;
}

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
                                "ls /proc/self/fd | wc -l\n",
                                0755));
  int log[2];
  ASSERT_EQ(pipe2(log, O_CLOEXEC), 0);
  Privileges privileges = PrivilegesOf(SpecOf(roles::SERVE), geteuid(), std::nullopt);
  auto process = RoleProcess::Start(SpecOf(roles::SERVE),
                                    {.executable = script, .name = "assay", .log_fd = log[1]},
                                    privileges, *loop, [](std::string_view, UniqueFd) {});
  ASSERT_OK(process);
  close(log[1]);
  std::string output;
  char buffer[256];
  for (ssize_t got; (got = read(log[0], buffer, sizeof(buffer))) > 0;) {
    output.append(buffer, static_cast<size_t>(got));
  }
  close(log[0]);
  int status = 0;
  ASSERT_EQ(waitpid((*process)->pid(), &status, 0), (*process)->pid());
  (*process)->Reaped();
  EXPECT_EQ(DescribeExit(status), "exit status 0");
  // Descriptors 0 to 3, and the one that ls reads the folder with.
  EXPECT_EQ(output, "role serve socket\n5\n");
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
  EXPECT_TRUE(serve.groups.empty());
  EXPECT_EQ(serve.capabilities, 0u);
}

TEST(PrivilegesTest, StaysWhoItIsWithoutRoot) {
  const Privileges serve = PrivilegesOf(SpecOf(roles::SERVE), 1000, kUser);
  EXPECT_FALSE(serve.change_user);
  EXPECT_EQ(serve.uid, 1000u);
}

TEST(PrivilegesTest, FindsUsersThatExist) {
  ASSERT_OK(FindUser("root"));
  EXPECT_EQ(FindUser("root").value()->uid, 0u);
  EXPECT_FALSE(FindUser("no-such-user-here").value().has_value());
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

TEST(PrivilegesTest, GivesAFolderOfRootWithItsFilesButNoLinks) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  TempFolder folder;
  const std::string data = folder.path() + "/data";
  ASSERT_OK(MakeFolders(data, 0700));
  ASSERT_OK(WriteFileAtomically(data + "/keys.json", "{}", 0600));
  ASSERT_OK(WriteFileAtomically(folder.path() + "/elsewhere", "", 0600));
  std::filesystem::create_hard_link(folder.path() + "/elsewhere", data + "/hard");
  std::filesystem::create_symlink(folder.path() + "/elsewhere", data + "/soft");
  EXPECT_TRUE(GiveFolder(data, kUser).value());
  EXPECT_EQ(OwnerOf(data), kUser.uid);
  EXPECT_EQ(OwnerOf(data + "/keys.json"), kUser.uid);
  EXPECT_EQ(OwnerOf(folder.path() + "/elsewhere"), 0u);
  EXPECT_TRUE(GiveFolder(data, kUser).value()) << "a second time";
}

TEST(PrivilegesTest, MakesAFolderAndLeavesTheWorkingFolderAlone) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  TempFolder folder;
  EXPECT_TRUE(GiveFolder(folder.path() + "/a/b", kUser).value());
  EXPECT_EQ(OwnerOf(folder.path() + "/a/b"), kUser.uid);
  EXPECT_EQ(OwnerOf(folder.path() + "/a"), 0u);
  EXPECT_FALSE(GiveFolder(".", kUser).value());
  EXPECT_FALSE(GiveFolder("/", kUser).value());
}

}  // namespace
}  // namespace assay
