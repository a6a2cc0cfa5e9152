// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/key_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::tpm {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

class KeyFileTest : public testing::Test {
 protected:
  absl::Status LoadOf(const std::string& bytes) {
    EXPECT_OK(WriteFileAtomically(path_, bytes, 0600));
    return LoadKeyFile(path_).status();
  }

  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/keys";
};

TEST_F(KeyFileTest, GivesBackWhatWasSavedAndNobodyElseMayReadIt) {
  ASSERT_OK(SaveKeyFile(path_, {{"public", "private"}, {"p", "s"}}));
  const auto loaded = LoadKeyFile(path_);
  ASSERT_OK(loaded);
  ASSERT_EQ(loaded->size(), 2);
  EXPECT_EQ(loaded->at(0).public_area, "public");
  EXPECT_EQ(loaded->at(0).private_area, "private");
  EXPECT_EQ(loaded->at(1).private_area, "s");
  EXPECT_EQ(std::filesystem::status(path_).permissions(), std::filesystem::perms(0600));
}

TEST_F(KeyFileTest, ADamagedFileIsNoKey) {
  EXPECT_THAT(LoadKeyFile(path_), StatusIs(StatusCode::kNotFound, testing::_));
  const std::string good("\0\1p\0\1s", 6);
  ASSERT_OK(LoadOf(good));
  EXPECT_THAT(LoadOf(""), StatusIs(StatusCode::kNotFound, testing::_));
  for (size_t size = 1; size < good.size(); ++size) {
    EXPECT_THAT(LoadOf(good.substr(0, size)),
                StatusIs(StatusCode::kDataLoss, HasSubstr("does not hold keys")));
    EXPECT_THAT(LoadOf(good + good.substr(0, size)), StatusIs(StatusCode::kDataLoss, testing::_));
  }
  EXPECT_THAT(LoadOf(std::string("\0\0\0\0", 4)), StatusIs(StatusCode::kDataLoss, testing::_));
}

}  // namespace
}  // namespace assay::tpm
