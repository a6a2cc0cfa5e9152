// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/key_folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

class KeyFolderTest : public testing::Test {
 protected:
  SigningAuthority Make() {
    return MakeSigningAuthority(SigningAuthority::Kind::kJwt,
                                {.trust_domain = TrustDomain::Parse("example.org").value()},
                                clock_.Now())
        .value();
  }
  const FakeClock clock_;
  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/keys";
};

TEST_F(KeyFolderTest, BringsAKeyBack) {
  const SigningAuthority authority = Make();
  ASSERT_OK(KeyFolder::Create(path_)->Save(authority));
  const auto key = KeyFolder::Create(path_)->Load(authority);
  ASSERT_OK(key);
  EXPECT_EQ((*key)->public_key(), authority.public_key);
}

TEST_F(KeyFolderTest, KeepsNothingWhenThereIsNone) {
  const KeyFolder none = KeyFolder::None();
  const SigningAuthority authority = Make();
  ASSERT_OK(none.Save(authority));
  EXPECT_THAT(none.Load(authority), StatusIs(StatusCode::kNotFound, HasSubstr("in memory")));
}

TEST_F(KeyFolderTest, IsItsOwnersAlone) {
  ASSERT_OK(KeyFolder::Create(path_)->Save(Make()));
  struct stat seen {};
  ASSERT_EQ(stat(path_.c_str(), &seen), 0);
  EXPECT_EQ(seen.st_mode & 0777, 0700);
  for (const auto& file : std::filesystem::directory_iterator(path_)) {
    ASSERT_EQ(stat(file.path().c_str(), &seen), 0);
    EXPECT_EQ(seen.st_mode & 0777, 0600);
  }
}

TEST_F(KeyFolderTest, RefusesAFolderThatOthersMayEnter) {
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  ASSERT_EQ(chmod(path_.c_str(), 0750), 0);
  EXPECT_THAT(KeyFolder::Create(path_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("chmod 700")));
}

TEST_F(KeyFolderTest, DestroysTheKeyOfAnOldAuthority) {
  SigningAuthority authority = Make();
  const KeyFolder keys = KeyFolder::Create(path_).value();
  ASSERT_OK(keys.Save(authority));
  authority.key.reset();
  ASSERT_OK(keys.Save(authority));
  EXPECT_TRUE(std::filesystem::is_empty(path_));
  EXPECT_THAT(keys.Load(authority), StatusIs(StatusCode::kNotFound, HasSubstr(path_)));
}

TEST_F(KeyFolderTest, RefusesTheKeyOfAnother) {
  SigningAuthority authority = Make();
  const KeyFolder keys = KeyFolder::Create(path_).value();
  ASSERT_OK(keys.Save(authority));
  authority.public_key = Make().public_key;
  EXPECT_THAT(keys.Load(authority),
              StatusIs(StatusCode::kDataLoss, HasSubstr("is the key of something else")));
}

}  // namespace
}  // namespace assay
