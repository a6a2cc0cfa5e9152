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
using testing::SizeIs;

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

TEST_F(JwtLimitsTest, WhoeverAsksForMoreAndMoreWhatIsUsedIsReplaced) {
  const auto role = Started(2);
  role->Mint("1", {"used"});
  role->Settle();
  const std::string first = role->serve.jwts["1 used"].token();
  for (int i = 0; i < 200; ++i) {
    role->Mint("0", {std::to_string(i)});
  }
  clock_.Advance(absl::Seconds(151));
  for (int i = 0; i < 100 && role->serve.jwts["1 used"].token() == first; ++i) {
    role->Mint("0", {std::to_string(1000 + i)});
    role->RunMintingJob();
  }
  EXPECT_NE(role->serve.jwts["1 used"].token(), first);
  EXPECT_GT(role->minting_jobs(), 0u) << "callers wait yet";
}

TEST_F(JwtLimitsTest, WhatCanNotBeReplacedInTimeIsForgotten) {
  const auto role = Started(1);
  for (int i = 0; i < 20; ++i) {
    role->Mint("0", {std::to_string(i)});
  }
  role->Settle();
  ASSERT_THAT(upstream_.minted, SizeIs(20));
  upstream_.mint_status = Unavailable("no upstream");
  role->Pass(absl::Seconds(310), absl::Seconds(5));
  EXPECT_THAT(role->serve.jwts, IsEmpty());
  upstream_.mint_status = absl::OkStatus();
  upstream_.minted.clear();
  role->Pass(absl::Minutes(2), absl::Seconds(5));
  EXPECT_THAT(upstream_.minted, IsEmpty()) << "nobody wants them";
}

}  // namespace
}  // namespace assay
