// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: whom it trusts, and what follows when that changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/identity_core.h"
#include "tests/support/test_role.h"

namespace assay {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::SizeIs;

class IdentityCoreTrustTest : public IdentityCoreTest {
 protected:
  // The foreign trust domain's bundle has this number.
  void Federate(const std::string& name, uint64_t number) {
    TrustBundle bundle = upstream_.bundle();
    bundle.trust_domain = *TrustDomain::Parse(name);
    bundle.sequence_number = number;
    upstream_.federated.insert_or_assign(name, bundle);
  }
  void FederateEntryWith(const std::vector<std::string>& names) {
    RegistrationEntry entry = MakeEntry("f");
    for (const std::string& name : names) {
      entry.federates_with.push_back(*TrustDomain::Parse(name));
    }
    upstream_.entries.push_back(entry);
  }
  // Has one more SVID signed, "late"; what `change` does is in the bundle before the answer is.
  void ChangeWhileSigning(TestRole& role, const std::function<void()>& change) {
    upstream_.entries.push_back(MakeEntry("late"));
    clock_.Advance(absl::Seconds(6));
    role.RunLoop();
    role.RunSyncJob();
    upstream_.after_signing = [&role, change] {
      change();
      role.RunBundleJob();
    };
    role.RunSigningJob();
  }
};

TEST_F(IdentityCoreTrustTest, AFederatedBundleThatFailsHoldsUpNothing) {
  RegistrationEntry entry = MakeEntry("f");
  entry.federates_with = {*TrustDomain::Parse("good.test"), *TrustDomain::Parse("bad.test")};
  upstream_.entries = {entry};
  TrustBundle good = upstream_.FetchBundle().value();
  good.trust_domain = *TrustDomain::Parse("good.test");
  upstream_.federated.emplace("good.test", good);
  upstream_.federated.emplace("bad.test", Internal("broken"));
  const auto role = Started(1);
  EXPECT_THAT(role->serve.svids, SizeIs(2));
  EXPECT_TRUE(role->serve.bundles.contains("good.test"));
  upstream_.entries[0].federates_with.clear();
  upstream_.entries[0].revision_number = 1;
  role->Pass(absl::Seconds(6));
  EXPECT_THAT(role->serve.bundles, SizeIs(1));
}

TEST_F(IdentityCoreTrustTest, WhatATaintedAuthorityIssuedIsReplaced) {
  const auto role = Started(2);
  const std::string first = role->serve.svids["0"].chain();
  const std::string agent = upstream_.svid->leaf().der();
  upstream_.RotateAuthority();
  role->Pass(absl::Seconds(12));
  EXPECT_NE(role->serve.svids["0"].chain(), first);
  EXPECT_NE(upstream_.svid->leaf().der(), agent);
  EXPECT_EQ(upstream_.renews, 1);
  EXPECT_THAT(role->serve.svids, SizeIs(2));
}

TEST_F(IdentityCoreTrustTest, BundlesAreFetchedOnlyWhenTheirNumberChanges) {
  FederateEntryWith({"b.test"});
  Federate("b.test", 7);
  const auto role = Started(0);
  const int bundles = upstream_.bundles;
  EXPECT_THAT(upstream_.federated_asked, SizeIs(1));
  upstream_.numbers = 0;
  role->Pass(absl::Seconds(60));
  EXPECT_GE(upstream_.numbers, 20);
  EXPECT_EQ(upstream_.bundles, bundles);
  EXPECT_THAT(upstream_.federated_asked, SizeIs(1));
  Federate("b.test", 8);
  upstream_.RotateAuthority();
  role->Pass(absl::Seconds(12));
  EXPECT_EQ(upstream_.bundles, bundles + 1);
  EXPECT_THAT(upstream_.federated_asked, SizeIs(2));
}

TEST_F(IdentityCoreTrustTest, ABundleThatChangesUnderTheSameNumberIsTakenWithinFiveMinutes) {
  FederateEntryWith({"b.test"});
  Federate("b.test", 7);
  const auto role = Started(0);
  const std::string before = role->serve.bundles["b.test"].SerializeAsString();
  upstream_.RotateAuthority();
  Federate("b.test", 7);
  role->Pass(absl::Minutes(5));
  EXPECT_NE(role->serve.bundles["b.test"].SerializeAsString(), before);
  const size_t asked = upstream_.federated_asked.size();
  role->Pass(absl::Minutes(20));
  EXPECT_THAT(upstream_.federated_asked, SizeIs(testing::Ge(asked + 4)));
  EXPECT_THAT(upstream_.federated_asked, SizeIs(testing::Le(asked + 5)));
}

TEST_F(IdentityCoreTrustTest, ABundleWithoutANumberIsFetchedEachTime) {
  FederateEntryWith({"b.test"});
  Federate("b.test", 0);
  upstream_.federated.at("b.test")->sequence_number.reset();
  const auto role = Started(0);
  role->Pass(absl::Seconds(30));
  EXPECT_THAT(upstream_.federated_asked, SizeIs(testing::Gt(4u)));
}

TEST_F(IdentityCoreTrustTest, ABundleThatIsSlowHoldsUpNeitherEntriesNorSvids) {
  FederateEntryWith({"slow.test"});
  Federate("slow.test", 1);
  const auto role = Started(1);
  upstream_.entries.push_back(MakeEntry("late"));
  clock_.Advance(absl::Seconds(6));
  role->RunLoop();
  for (int i = 0; i < 3; ++i) {  // And no job for a bundle comes to an end.
    role->RunSyncJob();
    role->RunSigningJob();
  }
  EXPECT_TRUE(role->serve.svids.contains("late"));
}

TEST_F(IdentityCoreTrustTest, ABundleThatFailsIsAskedForLessAndLess) {
  FederateEntryWith({"bad.test", "good.test"});
  Federate("good.test", 1);
  upstream_.federated.insert_or_assign("bad.test", Internal("broken"));
  const auto role = Started(1);
  upstream_.numbers = 0;
  upstream_.federated_asked.clear();
  role->Pass(absl::Minutes(10));
  EXPECT_THAT(upstream_.federated_asked, SizeIs(testing::Lt(15u)));
  EXPECT_GT(upstream_.numbers, 150) << "the others are not held up";
  Federate("bad.test", 1);
  role->Pass(absl::Minutes(5));
  EXPECT_THAT(role->serve.bundles, Contains(Key("bad.test")));
}

TEST_F(IdentityCoreTrustTest, AnOlderBundleIsNotTakenUnlessItStays) {
  FederateEntryWith({"b.test"});
  Federate("b.test", 7);
  const auto role = Started(0);
  const std::string before = role->serve.bundles["b.test"].SerializeAsString();
  upstream_.RotateAuthority();
  Federate("b.test", 6);
  role->Pass(absl::Minutes(5), absl::Seconds(5));
  EXPECT_EQ(role->serve.bundles["b.test"].SerializeAsString(), before);
  role->Pass(absl::Minutes(6), absl::Seconds(5));
  EXPECT_NE(role->serve.bundles["b.test"].SerializeAsString(), before);
}

TEST_F(IdentityCoreTrustTest, WhatARevokedAuthorityIssuedIsReplaced) {
  const auto role = Started(2);
  const std::string first = role->serve.svids["0"].chain();
  const std::string agent = upstream_.svid->leaf().der();
  upstream_.RotateAuthority();
  upstream_.RevokeTainted();  // Between two looks at the bundle.
  role->Pass(absl::Seconds(12));
  EXPECT_NE(role->serve.svids["0"].chain(), first);
  EXPECT_NE(upstream_.svid->leaf().der(), agent);
}

TEST_F(IdentityCoreTrustTest, AnSvidOfAnAuthorityTaintedWhileItWasSignedIsReplacedAtOnce) {
  const auto role = Started(1);
  ChangeWhileSigning(*role, [this] { upstream_.RotateAuthority(); });
  ASSERT_TRUE(role->serve.svids.contains("late")) << "it is valid till then";
  const std::string first = role->serve.svids["late"].chain();
  role->Settle();
  EXPECT_NE(role->serve.svids["late"].chain(), first);
  EXPECT_THAT(upstream_.batches.back(), Contains("late"));
}

TEST_F(IdentityCoreTrustTest, AnSvidOfAnAuthorityRevokedWhileItWasSignedIsNotServed) {
  const auto role = Started(1);
  ChangeWhileSigning(*role, [this] {
    upstream_.RotateAuthority();
    upstream_.RevokeTainted();
  });
  EXPECT_FALSE(role->serve.svids.contains("late"));
  role->Settle();
  EXPECT_TRUE(role->serve.svids.contains("late"));
}

TEST_F(IdentityCoreTrustTest, AnSvidThatTheBundleDoesNotVerifyIsHeldUntilItDoes) {
  const auto role = Started(1);
  upstream_.entries.push_back(MakeEntry("late"));
  const TrustBundle known = upstream_.bundle();
  upstream_.RotateAuthority();
  const TrustBundle now = upstream_.bundle();
  upstream_.bundle() = known;
  role->Pass(absl::Seconds(10));
  EXPECT_FALSE(role->serve.svids.contains("late"));
  EXPECT_TRUE(role->serve.svids.contains("0"));
  upstream_.bundle() = now;
  role->Pass(absl::Seconds(10));
  EXPECT_TRUE(role->serve.svids.contains("late"));
}

TEST_F(IdentityCoreTrustTest, AnOlderRevisionIsNotTakenUnlessItStays) {
  upstream_.entries = {MakeEntry("0")};
  upstream_.entries[0].revision_number = 3;
  const auto role = Started(0);
  upstream_.batches.clear();
  upstream_.entries[0].revision_number = 2;
  upstream_.entries[0].hint = "old";
  role->Pass(absl::Minutes(9), absl::Seconds(5));
  EXPECT_EQ(role->serve.entries["0"].hint(), "");
  EXPECT_THAT(upstream_.batches, IsEmpty());
  role->Pass(absl::Minutes(2), absl::Seconds(5));
  EXPECT_EQ(role->serve.entries["0"].hint(), "old");
}

TEST_F(IdentityCoreTrustTest, TheVersionIsPostedUntilItIsTaken) {
  upstream_.post_status = Unavailable("not now");
  const auto role = Started(0);
  role->Pass(absl::Seconds(12));
  EXPECT_GT(upstream_.posts, 1);
  upstream_.post_status = absl::OkStatus();
  role->Pass(absl::Seconds(12));
  const int posts = upstream_.posts;
  role->Pass(absl::Seconds(60));
  EXPECT_EQ(upstream_.posts, posts);
}

TEST_F(IdentityCoreTrustTest, AnUpstreamOfAnotherAuthorityIsNotTrusted) {
  upstream_.reattestable = true;
  const auto role = Started(1);
  upstream_.Replace();
  upstream_.syncs = 0;
  role->Pass(absl::Hours(1), absl::Seconds(10));
  EXPECT_EQ(role->exit_code, -1);
  EXPECT_GE(upstream_.syncs, 15);
  EXPECT_LE(upstream_.syncs, 30) << "at most every four minutes in the end";
  EXPECT_EQ(upstream_.attests, 1);
  EXPECT_THAT(role->serve.svids, SizeIs(1));
}

TEST_F(IdentityCoreTrustTest, ANodeThatMayBeginsAnewAfterTheDelay) {
  upstream_.reattestable = true;
  std::vector<BootstrapAttempt> attempts;
  const auto role =
      Started(1, {.rebootstrap_mode = RebootstrapMode::kAuto,
                  .bootstrap = [&](const BootstrapAttempt& attempt) {
                    attempts.push_back(attempt);
                    return absl::StatusOr<std::optional<TrustBundle>>(upstream_.bundle());
                  }});
  ASSERT_THAT(attempts, SizeIs(1));
  EXPECT_FALSE(attempts[0].again);
  const std::string first = role->serve.svids["0"].chain();
  const std::string bundle = role->serve.bundles["d.test"].SerializeAsString();
  upstream_.Replace();
  role->Pass(absl::Minutes(9));
  EXPECT_EQ(upstream_.attests, 1);
  EXPECT_THAT(role->serve.svids, SizeIs(1)) << "what is valid is served on";
  EXPECT_THAT(AgentData(), Not(HasSubstr("0001-01-01")));
  role->Pass(absl::Minutes(2));
  EXPECT_EQ(upstream_.attests, 2);
  ASSERT_THAT(attempts, SizeIs(2));
  EXPECT_TRUE(attempts[1].again);
  EXPECT_EQ(attempts[1].number, 1);
  EXPECT_NE(role->serve.bundles["d.test"].SerializeAsString(), bundle);
  EXPECT_NE(role->serve.svids["0"].chain(), first);
  EXPECT_THAT(AgentData(), HasSubstr("0001-01-01"));
  EXPECT_EQ(role->exit_code, -1);
}

TEST_F(IdentityCoreTrustTest, ADelayOfBeginningAnewOutlastsARestart) {
  upstream_.reattestable = true;
  const TestRoleOptions options{.rebootstrap_mode = RebootstrapMode::kAuto};
  auto role = Started(1, options);
  upstream_.Replace();
  role->Pass(absl::Minutes(6));
  role = std::make_unique<TestRole>(clock_, upstream_, folder_.path(), options);
  role->Pass(absl::Minutes(3));
  EXPECT_EQ(upstream_.attests, 1);
  role->Pass(absl::Minutes(2));
  EXPECT_EQ(upstream_.attests, 2);
  EXPECT_TRUE(role->serving);
}

TEST_F(IdentityCoreTrustTest, ABootstrapBundleThatDoesNotFitChangesNothing) {
  upstream_.reattestable = true;
  const TrustBundle first = upstream_.bundle();
  const auto role = Started(
      1, {.rebootstrap_mode = RebootstrapMode::kAuto, .bootstrap = [&](const BootstrapAttempt&) {
            return absl::StatusOr<std::optional<TrustBundle>>(first);
          }});
  const std::string agent = upstream_.svid->leaf().der();
  const TrustBundle known = upstream_.bundle();
  upstream_.Replace();
  role->Pass(absl::Minutes(30), absl::Seconds(5));
  EXPECT_GT(upstream_.attests, 2);
  EXPECT_LT(upstream_.attests, 40) << "it backs off";
  EXPECT_EQ(upstream_.svid->leaf().der(), agent);
  EXPECT_EQ(upstream_.trusted->Roots(), known.Roots());
  EXPECT_THAT(role->serve.svids, SizeIs(1));
}

TEST_F(IdentityCoreTrustTest, AnUpstreamThatComesBackEndsTheWait) {
  upstream_.reattestable = true;
  const auto role = Started(1, {.rebootstrap_mode = RebootstrapMode::kAuto});
  upstream_.sync_status = MarkedUntrusted(Unavailable("unknown authority"));
  role->Pass(absl::Minutes(9));
  upstream_.sync_status = absl::OkStatus();
  role->Pass(absl::Minutes(1));
  upstream_.sync_status = MarkedUntrusted(Unavailable("unknown authority"));
  role->Pass(absl::Minutes(9));
  EXPECT_EQ(upstream_.attests, 1);
}

TEST_F(IdentityCoreTrustTest, ARotationThatWasCalledForOutlastsTheWaitForTrust) {
  upstream_.reattestable = true;
  const auto role = Started(1, {.rebootstrap_mode = RebootstrapMode::kAuto});
  const std::string agent = upstream_.svid->leaf().der();
  upstream_.attest_status = Unavailable("not now");
  upstream_.RotateAuthority();
  role->Pass(absl::Seconds(30));
  upstream_.sync_status = MarkedUntrusted(Unavailable("unknown authority"));
  role->Pass(absl::Minutes(20));
  upstream_.sync_status = absl::OkStatus();
  role->Pass(absl::Minutes(10));
  EXPECT_EQ(upstream_.svid->leaf().der(), agent);
  upstream_.attest_status = absl::OkStatus();
  role->Pass(absl::Minutes(5));
  EXPECT_NE(upstream_.svid->leaf().der(), agent);
}

TEST_F(IdentityCoreTrustTest, ANodesSvidOfAnAuthorityRevokedWhileItWasIssuedIsReplacedAtOnce) {
  const auto role = Started(0);
  clock_.Advance(upstream_.agent_ttl / 2);
  upstream_.after_renewal = [&] {
    upstream_.RotateAuthority();
    upstream_.RevokeTainted();
    role->RunBundleJob();
  };
  role->RunLoop();
  role->RunSyncJob();
  role->Settle();
  EXPECT_EQ(upstream_.renews, 2);
}

TEST_F(IdentityCoreTrustTest, AnAttestationWhoseSvidIsRefusedChangesNothing) {
  upstream_.reattestable = true;
  const auto role = Started(1, {.rebootstrap_mode = RebootstrapMode::kAuto});
  const std::string agent = upstream_.svid->leaf().der();
  const TrustBundle known = upstream_.bundle();
  upstream_.Replace();
  upstream_.behind = upstream_.agent_ttl - absl::Seconds(5);
  role->Pass(absl::Minutes(20), absl::Seconds(5));
  EXPECT_GT(upstream_.attests, 1);
  EXPECT_EQ(upstream_.trusted->Roots(), known.Roots());
  EXPECT_EQ(upstream_.svid->leaf().der(), agent);
}

TEST_F(IdentityCoreTrustTest, ANodeThatCannotBeginAnewSaysSo) {
  const auto always = Started(1, {.rebootstrap_mode = RebootstrapMode::kAlways});
  EXPECT_EQ(always->exit_code, 1);
  EXPECT_THAT(always->exit_reason, HasSubstr("you have requested rebootstrap support"));
  TempFolder folder;
  TestRole automatic(clock_, upstream_, folder.path(),
                     {.rebootstrap_mode = RebootstrapMode::kAuto});
  automatic.Settle();
  EXPECT_TRUE(automatic.serving);
  upstream_.Replace();
  automatic.Pass(absl::Minutes(30), absl::Seconds(5));
  EXPECT_EQ(automatic.exit_code, -1);
  EXPECT_EQ(upstream_.attests, 2);
}

}  // namespace
}  // namespace assay
