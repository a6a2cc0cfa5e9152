// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "crypto/digest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::HasSubstr;

std::string Sum(std::string_view bytes) {
  return crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, bytes));
}

class PluginProgramTest : public testing::Test {
 protected:
  std::string Make(const std::string& name, std::string_view bytes) {
    const std::string path = folder_.path() + "/" + name;
    EXPECT_OK(WriteFileAtomically(path, bytes, 0700));
    return path;
  }
  const TempFolder folder_;
};

TEST_F(PluginProgramTest, OpensOneWithItsChecksum) {
  const std::string bytes(200'000, 'x');
  const std::string path = Make("p", bytes);
  EXPECT_OK(PluginProgram::Open(path, Sum(bytes)).status());
  EXPECT_OK(PluginProgram::Open(path, "").status());
  EXPECT_FALSE(PluginProgram::Open(path, "")->is_script());
  EXPECT_TRUE(PluginProgram::Open(Make("s", "#!/bin/sh\n"), "")->is_script());
}

TEST_F(PluginProgramTest, RefusesAnotherThanTheChecksums) {
  EXPECT_THAT(
      PluginProgram::Open(Make("p", "changed"), Sum("original")).status(),
      StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("has SHA-256 " + Sum("changed"))));
}

TEST_F(PluginProgramTest, WhatWasOpenedStaysWhateverThePathNamesLater) {
  const std::string path = Make("p", "original");
  const absl::StatusOr<PluginProgram> program = PluginProgram::Open(path, Sum("original"));
  ASSERT_OK(program.status());
  Make("p", "another!");
  char bytes[8] = {};
  EXPECT_EQ(pread(program->fd(), bytes, sizeof(bytes), 0), 8);
  EXPECT_EQ(std::string_view(bytes, 8), "original");
}

TEST_F(PluginProgramTest, WhatHasItsChecksumStaysThoughTheFileIsChanged) {
  const std::string path = Make("p", "original");
  const absl::StatusOr<PluginProgram> program = PluginProgram::Open(path, Sum("original"));
  ASSERT_OK(program.status());
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(pwrite(file.get(), "another!", 8, 0), 8);
  char bytes[8] = {};
  EXPECT_EQ(pread(program->fd(), bytes, sizeof(bytes), 0), 8);
  EXPECT_EQ(std::string_view(bytes, 8), "original");
  const std::string by_number = "/proc/self/fd/" + std::to_string(program->fd());
  const UniqueFd copy(open(by_number.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(pwrite(copy.get(), "another!", 8, 0), -1);
  EXPECT_EQ(ftruncate(copy.get(), 1), -1);
}

TEST_F(PluginProgramTest, WhatMustNotBeExecutedIsNot) {
  const std::string path = folder_.path() + "/p";
  ASSERT_OK(WriteFileAtomically(path, "x", 0600));
  EXPECT_THAT(PluginProgram::Open(path, Sum("x")).status(),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("executing plugin " + path)));
}

TEST_F(PluginProgramTest, OneThatIsTooLongHasNoChecksum) {
  const std::string path = Make("p", "x");
  ASSERT_EQ(truncate(path.c_str(), PluginProgram::kMaxBytes + 1), 0);
  EXPECT_THAT(PluginProgram::Open(path, Sum("x")).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is longer than")));
}

TEST_F(PluginProgramTest, RefusesWhatIsNoFile) {
  EXPECT_THAT(PluginProgram::Open(folder_.path(), "").status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a regular file")));
  EXPECT_THAT(PluginProgram::Open(folder_.path() + "/none", "").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("opening plugin")));
}

TEST_F(PluginProgramTest, ARelativePathBecomesAbsoluteForItsArguments) {
  const std::string path = Make("p", "x");
  const std::string relative = std::filesystem::relative(path).string();
  EXPECT_EQ(PluginProgram::Open(relative, "")->path().front(), '/');
}

TEST(PluginChecksumTest, IsHexOfThirtyTwoBytes) {
  EXPECT_OK(CheckPluginChecksum(Sum("x")));
  EXPECT_THAT(CheckPluginChecksum("zz"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a valid hex string")));
  EXPECT_THAT(CheckPluginChecksum("ab"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected checksum of length 64; got 2")));
}

}  // namespace
}  // namespace assay
