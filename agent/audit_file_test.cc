// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "agent/audit_verifier.h"
#include "base/files.h"
#include "tests/support/full_disk.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

class AuditFileTest : public testing::Test {
 protected:
  std::unique_ptr<AuditFile> Open() {
    auto file = AuditFile::Open(path_, kNow);
    EXPECT_OK(file);
    return file.ok() ? *std::move(file) : nullptr;
  }
  // Adds such a line, and writes it.
  static absl::Status Write(AuditFile& file, const std::string& kind) {
    file.Add(AuditMembers(kNow, kind));
    return file.Write();
  }
  void Append(std::string_view text) const { std::ofstream(path_, std::ios::app) << text; }
  // The kind of each line.
  static std::vector<std::string> Kinds(const std::string& path) {
    std::vector<std::string> kinds;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      const std::string before = "\"kind\":\"";
      const size_t at = line.find(before);
      kinds.push_back(at == line.npos ? "none" : line.substr(at + before.size(), 1));
    }
    return kinds;
  }
  // Notes of a verification that is OK, else why it is not.
  static std::vector<std::string> Verify(const std::vector<std::string>& paths) {
    AuditVerifier verifier;
    const absl::Status status = VerifyAuditFiles(paths, verifier);
    return status.ok() ? verifier.notes() : std::vector<std::string>{std::string(Message(status))};
  }

  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/audit.log";
};

TEST_F(AuditFileTest, MakesAFileThatItsOwnerAloneReads) {
  auto file = Open();
  ASSERT_OK(Write(*file, "a"));
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_THAT(ReadFile(path_).value(),
              StartsWith("{\"time\":\"2027-01-15T08:00:00.000000Z\",\"kind\":\"opened\","
                         "\"previous\":\"0000"));
  EXPECT_THAT(Kinds(path_), ElementsAre("o", "a"));
  EXPECT_THAT(Verify({path_}), IsEmpty());
}

TEST_F(AuditFileTest, GoesOnAfterARestart) {
  ASSERT_OK(Write(*Open(), "a"));
  ASSERT_OK(Write(*Open(), "b"));
  EXPECT_THAT(Kinds(path_), ElementsAre("o", "a", "o", "b"));
  EXPECT_THAT(Verify({path_}), IsEmpty());
}

TEST_F(AuditFileTest, KeepsAPieceOfALineAndTellsOfIt) {
  for (const char* piece : {"{\"time\":\"20", "\x01\x02", "x"}) {
    ASSERT_OK(Write(*Open(), "a"));
    Append(piece);
    ASSERT_OK(Write(*Open(), "b"));
    EXPECT_THAT(ReadFile(path_).value(), HasSubstr(std::string("\n") + piece));
    EXPECT_THAT(Verify({path_}), ElementsAre(StartsWith(path_ + ":3: a piece of a line")));
    std::filesystem::remove(path_);
  }
}

TEST_F(AuditFileTest, APieceOfTheFirstLineIsKeptToo) {
  Append("{\"time\":\"20");
  ASSERT_OK(Write(*Open(), "a"));
  EXPECT_THAT(Verify({path_}), ElementsAre(StartsWith(path_ + ":1: a piece of a line")));
}

TEST_F(AuditFileTest, AWholeLineThatIsDamagedIsNoPiece) {
  ASSERT_OK(Write(*Open(), "a"));
  std::string text = ReadFile(path_).value();
  text[text.size() - 4] = text[text.size() - 4] == 'a' ? 'b' : 'a';
  ASSERT_OK(WriteFileAtomically(path_, text, 0600));
  ASSERT_OK(Write(*Open(), "b"));
  EXPECT_THAT(Kinds(path_), ElementsAre("o", "a", "o", "b")) << "the agent starts all the same";
  EXPECT_THAT(Verify({path_}), ElementsAre(StartsWith(path_ + ":2: it is not what its hash")));
}

TEST_F(AuditFileTest, TouchesNoOtherFile) {
  for (const std::string& text :
       {std::string("{\"keys\":[]}"), std::string("a log\n"), std::string(2 << 20, 'x')}) {
    ASSERT_OK(WriteFileAtomically(path_, text, 0600));
    EXPECT_THAT(AuditFile::Open(path_, kNow),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("is no audit log")));
    EXPECT_EQ(ReadFile(path_).value(), text);
  }
}

TEST_F(AuditFileTest, IsOneProcesssAndNobodyElsesToWrite) {
  {
    const auto file = Open();
    EXPECT_THAT(AuditFile::Open(path_, kNow),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("another process writes to")));
  }
  std::filesystem::permissions(path_, std::filesystem::perms(0620));
  EXPECT_THAT(AuditFile::Open(path_, kNow),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("writable by others")));
  std::filesystem::permissions(path_, std::filesystem::perms(0640));
  EXPECT_OK(AuditFile::Open(path_, kNow));
  std::filesystem::rename(path_, path_ + ".1");
  std::filesystem::create_symlink(path_ + ".1", path_);
  EXPECT_FALSE(AuditFile::Open(path_, kNow).ok());
}

TEST_F(AuditFileTest, TheNextFileBeginsWithTheHashOfTheLastLine) {
  auto file = Open();
  ASSERT_OK(Write(*file, "a"));
  ASSERT_OK(file->Reopen(kNow)) << "it is where it was";
  std::filesystem::rename(path_, path_ + ".1");
  ASSERT_OK(Write(*file, "b"));
  ASSERT_OK(file->Reopen(kNow));
  ASSERT_OK(Write(*file, "c"));
  EXPECT_THAT(Kinds(path_ + ".1"), ElementsAre("o", "a", "b"));
  EXPECT_THAT(Kinds(path_), ElementsAre("o", "c"));
  EXPECT_THAT(Verify({path_ + ".1", path_}), IsEmpty());
  EXPECT_THAT(Verify({path_}), IsEmpty());
}

TEST_F(AuditFileTest, StaysWithItsFileWhereAnotherHasCome) {
  auto file = Open();
  std::filesystem::rename(path_, path_ + ".1");
  ASSERT_OK(WriteFileAtomically(path_, "other", 0600));
  EXPECT_THAT(file->Reopen(kNow),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("not empty")));
  ASSERT_OK(Write(*file, "a"));
  EXPECT_THAT(Kinds(path_ + ".1"), ElementsAre("o", "a"));
  EXPECT_EQ(ReadFile(path_).value(), "other");
}

TEST_F(AuditFileTest, LeavesNoPieceOnAFullDiskAndWritesItLater) {
  auto file = Open();
  ASSERT_OK(Write(*file, "a"));
  const size_t before = ReadFile(path_)->size();
  {
    const FullDisk full(before + before / 2 + 10);
    file->Add(AuditMembers(kNow, "b"));
    file->Add(AuditMembers(kNow, "c"));
    EXPECT_FALSE(file->Write().ok());
    EXPECT_THAT(ReadFile(path_).value(), testing::EndsWith("\n"));
    EXPECT_THAT(Kinds(path_), ElementsAre("o", "a", "b"));
    EXPECT_FALSE(file->Write().ok());
  }
  EXPECT_OK(file->Write());
  EXPECT_THAT(Kinds(path_), ElementsAre("o", "a", "b", "c"));
  EXPECT_THAT(Verify({path_}), IsEmpty());
}

TEST_F(AuditFileTest, WhatDidNotFitGoesToTheNextFile) {
  auto file = Open();
  ASSERT_OK(Write(*file, "a"));
  const FullDisk full(ReadFile(path_)->size() + 10);
  EXPECT_FALSE(Write(*file, "b").ok());
  std::filesystem::rename(path_, path_ + ".1");
  ASSERT_OK(file->Reopen(kNow));
  ASSERT_OK(file->Write());
  EXPECT_THAT(Kinds(path_), ElementsAre("b", "o"));
  EXPECT_THAT(Verify({path_ + ".1", path_}), IsEmpty());
}

}  // namespace
}  // namespace assay
