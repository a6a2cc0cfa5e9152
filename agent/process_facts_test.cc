// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/process_facts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/unique_fd.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ProcessFactsTest, ReadsThisProcess) {
  UniqueFd proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto credentials = ReadCredentials(proc.get(), "self/status");
  ASSERT_OK(credentials);
  EXPECT_EQ(credentials->uid, geteuid());
  EXPECT_EQ(credentials->gid, getegid());
  EXPECT_EQ(credentials->groups.size(), static_cast<size_t>(getgroups(0, nullptr)));
  struct stat self {};
  ASSERT_EQ(stat("/proc/self/exe", &self), 0);
  EXPECT_EQ(ReadExecutable(proc.get(), "self/exe").inode, self.st_ino);
}

TEST(ProcessFactsTest, ReadsTheOwnerOfAProcess) {
  const UniqueFd self(open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto owner = ReadOwner(self.get());
  ASSERT_OK(owner);
  EXPECT_EQ(owner->uid, geteuid());
  EXPECT_EQ(owner->gid, getegid());
}

// Whether or not it may be looked at otherwise.
TEST(ProcessFactsTest, ReadsTheOwnerOfAProcessThatHides) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "SKIPPED: needs root to become another user";
  }
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool done = setresgid(4343, 4343, 4343) == 0 && setresuid(4242, 4242, 4242) == 0 &&
                      prctl(PR_SET_DUMPABLE, 0) == 0 && write(ready[1], "x", 1) == 1;
    while (done) {
      pause();
    }
    _exit(1);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ready[1]);
  const std::string path = "/proc/" + std::to_string(child);
  const UniqueFd folder(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto owner = ReadOwner(folder.get());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_OK(owner);
  EXPECT_EQ(owner->uid, 4242u);
  EXPECT_EQ(owner->gid, 4343u);
}

TEST(ProcessFactsTest, ParsesEffectiveIdsAndGroups) {
  const auto credentials = ParseStatus(
      "Name:\tx\\nUid:\t0\nState:\tR\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\n"
      "Groups:\t10 4294967294 \nNStgid:\t1\n");
  ASSERT_OK(credentials);
  EXPECT_EQ(credentials->uid, 2u);
  EXPECT_EQ(credentials->gid, 6u);
  EXPECT_THAT(credentials->groups, ElementsAre(10u, 4294967294u));
  EXPECT_THAT(ParseStatus("N\nUid:\t1\t2\nGid:\t1\t2\nGroups:\t \n")->groups, IsEmpty());
}

TEST(ProcessFactsTest, RefusesAStatusThatLacksALine) {
  for (const char* status :
       {"", "Uid:\t1\t1\n", "\nUid:\t1\n\nGid:\t1\t1\nGroups:\n",
        "\nUid:\t1\tx\nGid:\t1\t1\nGroups:\n", "\nUid:\t1\t99999999999\nGid:\t1\t1\nGroups:\n"}) {
    EXPECT_EQ(ParseStatus(status).status().code(), absl::StatusCode::kDataLoss) << status;
  }
}

TEST(ProcessFactsTest, LooksAtSoManyGroupsAndNoMore) {
  std::string status = "\nUid:\t1\t1\nGid:\t1\t1\nGroups:\t";
  for (size_t i = 0; i < ProcessCredentials::kMaxGroups; ++i) {
    status += fmt::format("{} ", 4294960000 + i);
  }
  EXPECT_FALSE(ParseStatus(status + "\n")->has_more_groups);
  const auto credentials = ParseStatus(status + "5 6 \n");
  ASSERT_OK(credentials);
  EXPECT_EQ(credentials->groups.size(), ProcessCredentials::kMaxGroups);
  EXPECT_TRUE(credentials->has_more_groups);
}

TEST(ProcessFactsTest, DigestsTellGroupsApart) {
  const ProcessCredentials none;
  const ProcessCredentials one{.uid = 0, .gid = 0, .groups = {1}, .has_more_groups = false};
  const ProcessCredentials two{.uid = 0, .gid = 0, .groups = {1, 2}, .has_more_groups = false};
  EXPECT_NE(none.GroupsDigest(), one.GroupsDigest());
  EXPECT_NE(one.GroupsDigest(), two.GroupsDigest());
}

TEST(ProcessFactsTest, SaysZerosOfAnExecutableThatCannotBeSeen) {
  EXPECT_EQ(ReadExecutable(AT_FDCWD, "/proc/2/no-such-file").inode, 0u);
  EXPECT_THAT(ReadCredentials(AT_FDCWD, "/proc/0/status"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/proc/0/status")));
}

}  // namespace
}  // namespace assay
