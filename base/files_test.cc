// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

TEST(FilesTest, AWrittenFileHasItsBytesAndItsMode) {
  const TempFolder folder;
  const std::string path = folder.path() + "/key";
  ASSERT_TRUE(WriteFileAtomically(path, "old", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "new", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "new");
  EXPECT_EQ(ModeOf(path), 0600u);
}

TEST(FilesTest, AFileOverTheBoundIsRefusedByName) {
  const TempFolder folder;
  const std::string path = folder.path() + "/big";
  ASSERT_TRUE(WriteFileAtomically(path, "12345", 0600).ok());
  EXPECT_TRUE(ReadFile(path, 5).ok());
  const absl::Status status = ReadFile(path, 4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(Message(status).find(path), std::string_view::npos);
}

TEST(FilesTest, AnAbsentFileIsNotFound) {
  EXPECT_EQ(ReadFile("/nowhere/at/all").status().code(), absl::StatusCode::kNotFound);
}

TEST(FilesTest, FoldersGetTheirModeWhateverTheUmask) {
  const TempFolder folder;
  const mode_t before = umask(077);
  ASSERT_TRUE(MakeFolders(folder.path() + "/a/b", 0755).ok());
  umask(before);
  EXPECT_EQ(ModeOf(folder.path() + "/a"), 0755u);
  EXPECT_EQ(ModeOf(folder.path() + "/a/b"), 0755u);
}

void Chown(const std::string& path, uid_t user, gid_t group) {
  ASSERT_EQ(lchown(path.c_str(), user, group), 0);
}

TEST(GuardedFoldersTest, AreMadeWithTheirModeWhateverTheUmask) {
  const TempFolder folder;
  const mode_t before = umask(077);
  EXPECT_OK(MakeGuardedFolders(folder.path() + "/a//./b/../c/", 0755));
  umask(before);
  EXPECT_EQ(ModeOf(folder.path() + "/a"), 0755u);
  EXPECT_EQ(ModeOf(folder.path() + "/a/b"), 0755u);
  EXPECT_EQ(ModeOf(folder.path() + "/a/c"), 0755u);
  EXPECT_OK(MakeGuardedFolders("/tmp", 0755));
  EXPECT_OK(MakeGuardedFolders(".", 0755));
}

TEST(GuardedFoldersTest, RefuseAFolderThatOthersMayWriteTo) {
  const TempFolder folder;
  const std::string open = folder.path() + "/open";
  ASSERT_OK(MakeFolders(open, 0777));
  EXPECT_THAT(MakeGuardedFolders(open + "/below", 0755),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(open + " is writable by everybody")));
  EXPECT_NE(access((open + "/below").c_str(), F_OK), 0);
  ASSERT_EQ(chmod(open.c_str(), 01777), 0);
  EXPECT_OK(MakeGuardedFolders(open + "/below", 0755));
  ASSERT_EQ(chmod(open.c_str(), 0775), 0);
  EXPECT_OK(MakeGuardedFolders(open + "/below", 0755));
}

TEST(GuardedFoldersTest, RefuseAFolderOfAnotherUserOrGroup) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root, to give folders away";
  }
  const TempFolder folder;
  const std::string theirs = folder.path() + "/theirs";
  ASSERT_OK(MakeFolders(theirs + "/public", 0755));
  Chown(theirs, 1234, 0);
  EXPECT_THAT(
      MakeGuardedFolders(theirs + "/public", 0755),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(theirs + " belongs to user 1234")));
  Chown(theirs, 0, 1234);
  EXPECT_OK(MakeGuardedFolders(theirs + "/public", 0755));
  ASSERT_EQ(chmod(theirs.c_str(), 0775), 0);
  EXPECT_THAT(MakeGuardedFolders(theirs + "/public", 0755),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("writable by group 1234")));
}

TEST(GuardedFoldersTest, FollowOnlyLinksThatOthersCannotReplace) {
  const TempFolder folder;
  const std::string link = folder.path() + "/link";
  ASSERT_OK(MakeFolders(folder.path() + "/to/here", 0755));
  ASSERT_EQ(symlink("to/../to/here", link.c_str()), 0);
  EXPECT_OK(MakeGuardedFolders(link + "/made", 0755));
  EXPECT_EQ(ModeOf(folder.path() + "/to/here/made"), 0755u);
  ASSERT_EQ(symlink("loop", (folder.path() + "/loop").c_str()), 0);
  EXPECT_THAT(MakeGuardedFolders(folder.path() + "/loop", 0755),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cannot be followed")));
  ASSERT_EQ(chmod(folder.path().c_str(), 01777), 0);
  EXPECT_THAT(MakeGuardedFolders(link + "/made", 0755),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("name the folder itself")));
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  if (geteuid() == 0) {
    Chown(link, 1234, 1234);
    EXPECT_THAT(MakeGuardedFolders(link + "/made", 0755),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("belongs to user 1234")));
  }
}

}  // namespace
}  // namespace assay
