// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/guarded_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

constexpr uid_t kTenant = 4242;

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
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

TEST(GuardedFilesTest, AreReadThroughLinksThatOthersCannotReplace) {
  const TempFolder folder;
  const std::string file = folder.path() + "/file", link = folder.path() + "/link";
  ASSERT_OK(WriteFileAtomically(file, "text", 0600));
  ASSERT_EQ(symlink("file", link.c_str()), 0);
  EXPECT_EQ(ReadGuardedSecretFile(link, 10).value().Reveal(), "text");
  EXPECT_THAT(ReadGuardedSecretFile(file, 3),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(file)));
  EXPECT_THAT(ReadGuardedSecretFile(folder.path() + "/absent", 10),
              StatusIs(StatusCode::kNotFound, HasSubstr("/absent")));
  ASSERT_EQ(chmod(file.c_str(), 0606), 0);
  EXPECT_THAT(ReadGuardedSecretFile(link, 10),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("writable by everybody")));
}

TEST(GuardedFilesTest, AreNoFoldersAndNoPipes) {
  const TempFolder folder;
  const std::string pipe = folder.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {pipe, folder.path()}) {
    EXPECT_THAT(ReadGuardedSecretFile(path, 10),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("is not a regular file")));
  }
}

TEST(TenantFoldersTest, AreOpenedAndNothingBelowThem) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root, to give folders away";
  }
  const TempFolder folder;
  const std::string theirs = folder.path() + "/theirs";
  EXPECT_THAT(OpenTenantFolder(theirs, {kTenant}, std::nullopt),
              StatusIs(StatusCode::kNotFound, HasSubstr(theirs)));
  EXPECT_TRUE(OpenTenantFolder(theirs, {kTenant}, 0700).value().fd.valid());
  EXPECT_EQ(ModeOf(theirs), 0700u);
  ASSERT_EQ(symlink("/etc", (theirs + "/link").c_str()), 0);
  Chown(theirs, kTenant, kTenant);
  EXPECT_TRUE(OpenTenantFolder(theirs + "/", {kTenant}, 0700).value().fd.valid());
  for (const char* below : {"/link", "/link/..", "/made"}) {
    EXPECT_FALSE(OpenTenantFolder(theirs + below, {kTenant}, 0700).value().fd.valid()) << below;
  }
  EXPECT_NE(access((theirs + "/made").c_str(), F_OK), 0);
  EXPECT_FALSE(OpenTenantFolder(theirs, {kTenant + 1}, 0700).ok());
}

}  // namespace
}  // namespace assay
