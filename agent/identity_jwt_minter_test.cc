// SPDX-License-Identifier: GPL-3.0-or-later
// JWT-SVIDs as the identity role gives them to serve.
#include "agent/identity_jwt_minter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_role.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class JwtMinterTest : public IdentityCoreTest {};

TEST_F(JwtMinterTest, MintsWhatACallerWaitsFor) {
  const auto role = Started(1);
  role->Mint("0", {"x", "y"});
  role->Settle();
  ASSERT_THAT(role->serve.jwts, UnorderedElementsAre(Key("0 x,y")));
  const roles::JwtSvid& svid = role->serve.jwts["0 x,y"];
  EXPECT_EQ(svid.spiffe_id(), "spiffe://d.test/0");
  EXPECT_EQ(svid.key_id(), "jwt-1");
  EXPECT_EQ(svid.expires_at(), absl::ToUnixSeconds(clock_.Now() + upstream_.jwt_ttl));
  EXPECT_THAT(svid.token(), HasSubstr("."));
}

TEST_F(JwtMinterTest, AsksOnceForACallersWishesForTheSame) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Mint("0", {"x"});
  EXPECT_EQ(role->minting_jobs(), 1u);
  role->Settle();
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_THAT(upstream_.minted, SizeIs(1)) << "it is there";
}

TEST_F(JwtMinterTest, ReplacesWhatIsUsedBeforeHalfOfItsLife) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Settle();
  const std::string first = role->serve.jwts["0 x"].token();
  role->Pass(absl::Seconds(149));
  EXPECT_THAT(upstream_.minted, SizeIs(2)) << "the caller that waited has got it";
  EXPECT_NE(role->serve.jwts["0 x"].token(), first);
  role->Pass(absl::Minutes(10), absl::Seconds(5));
  EXPECT_THAT(upstream_.minted, SizeIs(2)) << "nobody uses it";
  EXPECT_THAT(role->serve.jwts, IsEmpty()) << "it has expired";
}

TEST_F(JwtMinterTest, WhoComesLateGetsANewOne) {
  const auto role = Started(1);
  role->TellUsedJwt("0", "x");
  role->Settle();
  role->MintNewer("0", "x");
  role->Settle();
  EXPECT_THAT(upstream_.minted, SizeIs(1)) << "it is new";
  role->Pass(absl::Seconds(151), absl::Seconds(5));
  EXPECT_THAT(upstream_.minted, SizeIs(2)) << "for it was used";
  role->Pass(absl::Seconds(160), absl::Seconds(5));
  const roles::JwtSvid old = role->serve.jwts["0 x"];
  EXPECT_LE(old.late_at(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_GE(old.late_at(), absl::ToUnixSeconds(clock_.Now()) - 60);
  upstream_.mint_status = Unavailable("no upstream");
  role->MintNewer("0", "x");
  role->Pass(absl::Seconds(2));
  EXPECT_EQ(role->serve.jwts["0 x"].token(), old.token()) << "it stays";
  upstream_.mint_status = absl::OkStatus();
  role->Pass(absl::Seconds(6));
  EXPECT_NE(role->serve.jwts["0 x"].token(), old.token());
  EXPECT_THAT(role->serve.jwt_failures, IsEmpty());
}

TEST_F(JwtMinterTest, KeepsReplacingWhatServeSaysIsUsed) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  for (int i = 0; i < 60; ++i) {
    role->Pass(absl::Seconds(20), absl::Seconds(5));
    role->TellUsedJwt("0", "x");
    ASSERT_THAT(role->serve.jwts, SizeIs(1));
    EXPECT_GT(role->serve.jwts["0 x"].expires_at() - absl::ToUnixSeconds(clock_.Now()), 140);
  }
  EXPECT_LE(upstream_.minted.size(), 12u);
}

TEST_F(JwtMinterTest, AnOutageTakesNothingThatIsValid) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Settle();
  upstream_.mint_status = Unavailable("no upstream");
  role->Pass(absl::Seconds(290), absl::Seconds(5));
  EXPECT_THAT(role->serve.jwts, SizeIs(1));
  EXPECT_THAT(role->serve.jwt_failures, IsEmpty());
  EXPECT_GE(upstream_.minted.size(), 4u) << "it tries again";
  EXPECT_LE(upstream_.minted.size(), 30u);
  upstream_.mint_status = absl::OkStatus();
  role->TellUsedJwt("0", "x");
  role->Pass(absl::Seconds(9));
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_GT(role->serve.jwts["0 x"].expires_at(), absl::ToUnixSeconds(clock_.Now()));
}

TEST_F(JwtMinterTest, ACallerWaitsForAnUpstreamThatComesBack) {
  const auto role = Started(1);
  upstream_.mint_status = Unavailable("no upstream");
  role->Mint("0", {"x"});
  role->Pass(absl::Seconds(20));
  EXPECT_THAT(role->serve.jwt_failures, IsEmpty());
  upstream_.mint_status = absl::OkStatus();
  role->Pass(absl::Seconds(6));
  EXPECT_THAT(role->serve.jwts, SizeIs(1));
  upstream_.mint_status = Unavailable("no upstream");
  role->Mint("0", {"y"});
  role->Pass(absl::Seconds(31));
  EXPECT_THAT(role->serve.jwt_failures,
              ElementsAre("failed to fetch JWT SVID: rpc error: code = Unavailable desc = no "
                          "upstream"));
}

TEST_F(JwtMinterTest, ARefusalIsPassedOnAtOnce) {
  const auto role = Started(1);
  upstream_.mint_status =
      MakeStatus(absl::StatusCode::kUnimplemented, "JWT functionality is disabled");
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_THAT(role->serve.jwt_failures,
              ElementsAre("failed to fetch JWT SVID: rpc error: code = Unimplemented desc = JWT "
                          "functionality is disabled"));
  role->Pass(absl::Minutes(2), absl::Seconds(5));
  EXPECT_THAT(upstream_.minted, SizeIs(1));
}

TEST_F(JwtMinterTest, ARefusalOfTheAgentIsObeyed) {
  const auto role = Started(1);
  upstream_.mint_status = RefusedAsBanned();
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_EQ(role->exit_code, 1);
}

TEST_F(JwtMinterTest, MintsForNoEntryThatServeIsNotToldOf) {
  upstream_.entries.push_back(MakeEntry("stored"));
  upstream_.entries.back().store_svid = true;
  const auto role = Started(1);
  role->Mint("stored", {"x"});
  role->Mint("unknown", {"x"});
  role->Settle();
  EXPECT_THAT(upstream_.minted, IsEmpty());
  EXPECT_THAT(role->serve.jwt_failures, SizeIs(2));
}

TEST_F(JwtMinterTest, OnesThatMustDifferAreNotKept) {
  upstream_.entries.push_back(MakeEntry("jti"));
  upstream_.entries.back().jwt_svid_include_jti = true;
  const auto role = Started(0);
  role->Mint("jti", {"x"}, 7);
  role->Mint("jti", {"x"}, 8);
  role->Mint("jti", {"x"});
  role->Settle();
  EXPECT_THAT(role->serve.jwts, IsEmpty());
  ASSERT_THAT(role->serve.own_jwts, SizeIs(2));
  EXPECT_EQ(role->serve.own_jwts[0].request(), 7u);
  EXPECT_NE(role->serve.own_jwts[0].token(), role->serve.own_jwts[1].token());
  EXPECT_THAT(role->serve.jwt_failures, SizeIs(1)) << "serve does not know yet";
}

TEST_F(JwtMinterTest, TheLeastRecentlyUsedMakeWay) {
  const auto role = Started(1, {.jwt_cache_size = 3});
  for (const char* audience : {"a", "b", "c", "d"}) {
    role->Mint("0", {audience});
    role->Settle();
    clock_.Advance(absl::Seconds(1));
    role->TellUsedJwt("0", "a");
  }
  EXPECT_THAT(role->serve.jwts, UnorderedElementsAre(Key("0 a"), Key("0 c"), Key("0 d")));
}

TEST_F(JwtMinterTest, WhatHasMadeWayIsNotMintedForWhoUsedItBefore) {
  const auto role = Started(1, {.jwt_cache_size = 2});
  for (int i = 0; i < 9; ++i) {
    role->Mint("0", {std::to_string(i % 3)});
    role->Settle();
    role->TellUsedJwt("0", std::to_string((i + 1) % 3));
    role->Settle();
  }
  // One for each that a caller waited for and was not there: the second was there for it was used.
  EXPECT_THAT(upstream_.minted, SizeIs(9));
}

TEST_F(JwtMinterTest, WhatATaintedKeySignedGoesAtOnce) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Settle();
  upstream_.RotateJwtKey();
  role->Pass(absl::Seconds(6));
  EXPECT_THAT(role->serve.jwts, IsEmpty());
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_EQ(role->serve.jwts["0 x"].key_id(), "jwt-2");
}

TEST_F(JwtMinterTest, WhatTheBundleDoesNotVerifyIsNotGiven) {
  // ID-23
  const auto role = Started(1);
  upstream_.RotateJwtKey(/*is_published=*/false);
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_THAT(role->serve.jwts, IsEmpty());
  upstream_.PublishJwtKey();
  role->Pass(absl::Seconds(10));
  EXPECT_THAT(role->serve.jwts, SizeIs(1));
}

TEST_F(JwtMinterTest, WhatIsMintedWronglyIsNeitherGivenNorAskedForAgain) {
  // WLAPI-30
  const auto role = Started(1);
  const std::vector<std::function<void(nlohmann::json&)>> wrong = {
      [](nlohmann::json& claims) { claims["sub"] = "spiffe://d.test/other"; },
      [](nlohmann::json& claims) { claims["aud"] = {"other"}; },
      [](nlohmann::json& claims) {
        claims["aud"] = {"x", "more"};
      },
      [](nlohmann::json& claims) { claims.erase("exp"); },
      [this](nlohmann::json& claims) { claims["exp"] = absl::ToUnixSeconds(clock_.Now()); }};
  for (size_t i = 0; i < wrong.size(); ++i) {
    upstream_.change_claims = wrong[i];
    role->Mint("0", {"x"});
    role->Settle();
    EXPECT_THAT(upstream_.minted, SizeIs(i + 1));
    EXPECT_THAT(role->serve.jwt_failures, SizeIs(i + 1)) << i;
  }
  role->Pass(absl::Seconds(40), absl::Seconds(5));
  EXPECT_THAT(upstream_.minted, SizeIs(wrong.size()));
  EXPECT_THAT(role->serve.jwts, IsEmpty());
  EXPECT_EQ(role->serve.jwt_failures.front(),
            "failed to fetch JWT SVID: jwt-svid of the upstream: it is of spiffe://d.test/other");
}

TEST_F(JwtMinterTest, AClockThatIsLateTakesNobodysJwtSvid) {
  const auto role = Started(1);
  upstream_.change_claims = [this](nlohmann::json& claims) {
    claims["iat"] = absl::ToUnixSeconds(clock_.Now() + absl::Minutes(2));
    claims["aud"] = {"y", "x", "y"};
  };
  role->Mint("0", {"x", "y"});
  role->Settle();
  EXPECT_THAT(role->serve.jwts, SizeIs(1));
}

TEST_F(JwtMinterTest, GoesWithItsEntryAndWithItsIdentity) {
  const auto role = Started(2);
  role->Mint("0", {"x"});
  role->Mint("1", {"x"});
  role->Settle();
  upstream_.entries[1].spiffe_id = SpiffeId::Parse("spiffe://d.test/other").value();
  upstream_.entries[1].revision_number = 5;
  upstream_.entries.erase(upstream_.entries.begin());
  role->Pass(absl::Seconds(6));
  EXPECT_THAT(role->serve.jwts, IsEmpty());
  role->Mint("1", {"x"});
  role->Settle();
  EXPECT_EQ(role->serve.jwts["1 x"].spiffe_id(), "spiffe://d.test/other");
}

TEST_F(JwtMinterTest, WhoWaitsWhileItsEntryChangesGetsOneOfTheNewIdentity) {
  upstream_.entries.push_back(MakeEntry("jti"));
  upstream_.entries.back().jwt_svid_include_jti = true;
  const auto role = Started(2);
  upstream_.mint_status = Unavailable("no upstream");
  for (const char* id : {"0", "1"}) {
    role->Mint(id, {"x"});
  }
  role->Mint("jti", {"x"}, 7);
  role->Settle();
  for (RegistrationEntry& entry : upstream_.entries) {
    entry.revision_number = 5;
    if (entry.id == "1") {
      entry.spiffe_id = SpiffeId::Parse("spiffe://d.test/other").value();
    } else if (entry.id == "jti") {
      entry.hint = "new";
    }
  }
  std::erase_if(upstream_.entries, [](const auto& entry) { return entry.id == "0"; });
  role->Pass(absl::Seconds(6));
  upstream_.mint_status = absl::OkStatus();
  role->Pass(absl::Seconds(6));
  EXPECT_THAT(role->serve.jwt_failures, IsEmpty());
  EXPECT_EQ(role->serve.jwts["1 x"].spiffe_id(), "spiffe://d.test/other");
  EXPECT_THAT(role->serve.own_jwts, SizeIs(1));
  EXPECT_EQ(role->serve.entries.count("0"), 0u);
}

TEST_F(JwtMinterTest, OneThatWasOnItsWayWhenItsEntryChangedIsMintedAnew) {
  const auto role = Started(1);
  upstream_.after_minting = [&] {
    upstream_.entries[0].spiffe_id = SpiffeId::Parse("spiffe://d.test/other").value();
    upstream_.entries[0].revision_number = 5;
    clock_.Advance(absl::Seconds(6));
    role->RunLoop();
    role->RunSyncJob();
  };
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_THAT(role->serve.jwt_failures, IsEmpty());
  EXPECT_EQ(role->serve.jwts["0 x"].spiffe_id(), "spiffe://d.test/other");
}

TEST_F(JwtMinterTest, AServeRoleStartedAnewIsToldOfThem) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Settle();
  role->LinkServe();
  role->Settle();
  EXPECT_THAT(role->serve.jwts, SizeIs(1));
}

TEST_F(JwtMinterTest, MakesAnewWhatServeHasFromBefore) {
  const auto role = Started(1);
  role->TellUsedJwt("0", "x");
  role->TellUsedJwt("unknown", "x");
  role->Settle();
  EXPECT_THAT(role->serve.jwts, SizeIs(1));
}

TEST_F(JwtMinterTest, CallersComeBeforeWhatIsReplaced) {
  const auto role = Started(1);
  for (int i = 0; i < 20; ++i) {
    role->TellUsedJwt("0", std::to_string(i));
  }
  EXPECT_EQ(role->minting_jobs(), JwtMinter::kMostRefreshing);
  role->Mint("0", {"waits"});
  EXPECT_EQ(role->minting_jobs(), JwtMinter::kMostRefreshing + 1);
  role->Settle();
  EXPECT_THAT(role->serve.jwts, SizeIs(21));
}

TEST_F(JwtMinterTest, WhatIsMintedAcrossAChangeOfTheBundleIsHeldToTheNewOne) {
  const auto role = Started(1);
  const auto change_bundle_meanwhile = [&](const std::function<void()>& change) {
    upstream_.after_minting = [&, change] {
      change();
      clock_.Advance(absl::Seconds(6));
      role->RunLoop();
      role->RunBundleJob();
    };
  };
  change_bundle_meanwhile([this] { upstream_.RotateJwtKey(); });
  role->Mint("0", {"x"});
  role->RunMintingJob();
  EXPECT_THAT(role->serve.jwts, IsEmpty()) << "its key is tainted now";
  role->Pass(absl::Seconds(10));
  EXPECT_EQ(role->serve.jwts["0 x"].key_id(), "jwt-2");
  change_bundle_meanwhile([this] {
    upstream_.bundle().jwt_authorities.back() = TestJwtKey("jwt-2").authority();
    ++*upstream_.bundle().sequence_number;
  });
  role->Mint("0", {"y"});
  role->RunMintingJob();
  EXPECT_THAT(role->serve.jwts, IsEmpty()) << "another key has its id now";
}

TEST_F(JwtMinterTest, WhatNobodyWaitsForAnyMoreIsNotMinted) {
  upstream_.entries.push_back(MakeEntry("jti"));
  upstream_.entries.back().jwt_svid_include_jti = true;
  const auto role = Started(1);
  for (int i = 0; i < 50; ++i) {
    role->Mint("0", {std::to_string(i)});
    role->Mint("jti", {"x"}, i + 1);
  }
  for (int i = 0; i < 50; ++i) {
    role->ForgetJwt("0", std::to_string(i));
    role->ForgetJwt("jti", "x", i + 1);
  }
  role->ForgetJwt("unknown", "x");
  role->Settle();
  EXPECT_THAT(upstream_.minted, SizeIs(JwtMinter::kMostAway)) << "those were on their way";
  EXPECT_THAT(role->serve.own_jwts, IsEmpty());
}

TEST_F(JwtMinterTest, WhatIsValidIsReplacedThoughNobodyWaits) {
  const auto role = Started(1);
  role->Mint("0", {"x"});
  role->Settle();
  upstream_.mint_status = Unavailable("no upstream");
  role->Pass(absl::Seconds(150));
  role->ForgetJwt("0", "x");
  upstream_.mint_status = absl::OkStatus();
  role->Pass(absl::Seconds(60));
  EXPECT_GT(role->serve.jwts["0 x"].expires_at() - absl::ToUnixSeconds(clock_.Now()), 150);
}

TEST_F(JwtMinterTest, EntriesTakeTurns) {
  const auto role = Started(2);
  for (int i = 0; i < 100; ++i) {
    role->Mint("0", {std::to_string(i)});
  }
  role->Mint("1", {"x"});
  for (size_t i = 0; i < JwtMinter::kMostAway + 1; ++i) {
    role->RunMintingJob();
  }
  EXPECT_EQ(role->serve.jwts.count("1 x"), 1u);
}

TEST_F(JwtMinterTest, NoEntryTakesAllPlaces) {
  const auto role = Started(2);
  upstream_.mint_status = Unavailable("no upstream");
  for (size_t i = 0; i < MintQueue::kMostPlaces + JwtMinter::kMostAway; ++i) {
    role->Mint("0", {std::to_string(i)});
  }
  EXPECT_THAT(role->serve.jwt_failures, IsEmpty());
  role->Mint("0", {"more"});
  EXPECT_THAT(role->serve.jwt_failures, ElementsAre("too many JWT-SVIDs are being fetched"));
  upstream_.mint_status = absl::OkStatus();
  role->Mint("1", {"x"});
  EXPECT_THAT(role->serve.jwt_failures, SizeIs(2)) << "one of the other entry's";
  for (size_t i = 0; i < JwtMinter::kMostAway + 1; ++i) {
    role->RunMintingJob();
  }
  EXPECT_EQ(role->serve.jwts.count("1 x"), 1u);
}

TEST_F(JwtMinterTest, NoEntryTakesTheWholeCache) {
  const auto role = Started(2, {.jwt_cache_size = 10});
  role->Mint("1", {"x"});
  role->Settle();
  for (int i = 0; i < 50; ++i) {
    role->Mint("0", {std::to_string(i)});
    role->Settle();
  }
  EXPECT_THAT(role->serve.jwts, SizeIs(10));
  EXPECT_EQ(role->serve.jwts.count("1 x"), 1u);
}

TEST_F(JwtMinterTest, WordsOfTheUpstreamAreMadePrintable) {
  const auto role = Started(1);
  upstream_.mint_status = MakeStatus(absl::StatusCode::kUnimplemented, "no\xff\n");
  role->Mint("0", {"x"});
  role->Settle();
  EXPECT_THAT(role->serve.jwt_failures, ElementsAre(HasSubstr("desc = no\\xff\\x0a")));
}

TEST_F(JwtMinterTest, AServeRoleStartedAnewWaitsForNothingYet) {
  const auto role = Started(1);
  for (int i = 0; i < 20; ++i) {
    role->Mint("0", {std::to_string(i)});
  }
  role->LinkServe();
  role->Settle();
  EXPECT_THAT(upstream_.minted, SizeIs(JwtMinter::kMostAway));
}

}  // namespace
}  // namespace assay
