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

TEST_F(JwtLimitsTest, NoMoreThanEightCallsAreMadeAtATime) {
  const auto role = Started(2);
  for (int i = 0; i < 20; ++i) {
    role->Mint(std::to_string(i % 2), {std::to_string(i)});
  }
  EXPECT_EQ(role->minting_jobs(), JwtMinter::kMostAway);
  role->RunMintingJob();
  EXPECT_EQ(role->minting_jobs(), JwtMinter::kMostAway) << "the next has begun";
}

TEST_F(JwtLimitsTest, OneOfItsOwnIsMadeForNobodyWhoOnlyUsedOne) {
  upstream_.entries.push_back(MakeEntry("jti"));
  upstream_.entries.back().jwt_svid_include_jti = true;
  const auto role = Started(1);
  role->TellUsedJwt("jti", "x");
  role->Settle();
  EXPECT_THAT(upstream_.minted, IsEmpty());
}

TEST_F(JwtLimitsTest, WhatWasOnItsWayWhenTheAgentWasBannedIsNotGiven) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Mint("0", {"y"});
  role->RunMintingJob();
  EXPECT_THAT(role->serve.jwts, SizeIs(1));
  upstream_.sync_status = RefusedAsBanned();
  clock_.Advance(absl::Seconds(6));
  role->RunLoop();
  role->RunSyncJob();
  EXPECT_EQ(role->exit_code, -1) << "it forgets first";
  role->Settle();
  EXPECT_EQ(role->exit_code, 1);
  EXPECT_THAT(upstream_.minted, SizeIs(2));
  EXPECT_EQ(role->serve.jwts.count("0 y"), 0u);
}

TEST_F(JwtLimitsTest, WhatHasExpiredByAClockThatWasSetGoes) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Settle();
  clock_.Step(absl::Minutes(10));
  upstream_.mint_status = Unavailable("no upstream");
  role->Pass(absl::Seconds(10));
  EXPECT_THAT(role->serve.jwts, IsEmpty());
}

}  // namespace
}  // namespace assay
