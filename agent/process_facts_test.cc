// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/process_facts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

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
  const auto start_time = ReadStartTime(proc.get(), "self/stat");
  ASSERT_OK(start_time);
  EXPECT_GT(*start_time, 0u);
  struct stat self {};
  ASSERT_EQ(stat("/proc/self/exe", &self), 0);
  EXPECT_EQ(ReadExecutable(proc.get(), "self/exe").inode, self.st_ino);
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

TEST(ProcessFactsTest, FindsTheStartTimeBehindAnyName) {
  const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21\n";
  EXPECT_EQ(ParseStartTime("12 (name)" + rest).value(), 777u);
  EXPECT_EQ(ParseStartTime("12 (evil) S 1 2 (x)" + rest).value(), 777u);
  EXPECT_FALSE(ParseStartTime("12 name").ok());
  EXPECT_FALSE(ParseStartTime("12 (name) S 1 2 3").ok());
  EXPECT_FALSE(ParseStartTime("12 (name)").ok());
}

TEST(ProcessFactsTest, DigestsTellGroupsApart) {
  const ProcessCredentials none;
  const ProcessCredentials one{.uid = 0, .gid = 0, .groups = {1}};
  const ProcessCredentials two{.uid = 0, .gid = 0, .groups = {1, 2}};
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
