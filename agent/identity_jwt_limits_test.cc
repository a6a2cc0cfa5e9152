// SPDX-License-Identifier: GPL-3.0-or-later
// What a serve role that has fallen can have the identity role do about JWT-SVIDs, and what one
// caller can take from others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "spiffe/registration_entry.h"
#include "tests/support/test_role.h"

namespace assay {
namespace {

using testing::IsEmpty;

class JwtLimitsTest : public IdentityCoreTest {};

TEST_F(JwtLimitsTest, KeysThatServeCannotHaveEndIt) {
  const auto role = Started(1);
  const std::string longest(RegistrationEntry::kMaxIdBytes, 'i');
  role->Mint(longest, {"x"});
  role->ForgetJwt(longest, "x");
  role->TellUsedJwt(longest, "x");
  EXPECT_OK(role->serve_ended);
  const std::vector<std::function<void()>> broken = {
      [&] { role->Mint("0", {}); },
      [&] {
        role->Mint("0", {"y", "x"});
      },
      [&] { role->Mint(longest + "i", {"x"}); },
      [&] { role->ForgetJwt(longest + "i", "x"); },
      [&] { role->TellUsedJwt("0", ""); },
  };
  for (const auto& request : broken) {
    role->serve_ended = absl::OkStatus();
    request();
    EXPECT_TRUE(absl::IsInvalidArgument(role->serve_ended)) << role->serve_ended;
    role->LinkServe();
  }
  role->Settle();
  EXPECT_THAT(upstream_.minted, IsEmpty());
}

}  // namespace
}  // namespace assay
