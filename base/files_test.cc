// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

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

}  // namespace
}  // namespace assay
