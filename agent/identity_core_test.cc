// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_role.h"

namespace assay {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST_F(IdentityCoreTest, AttestsSyncsAndHasSvidsReady) {
  // WLAPI-14
  const auto role = Started(2);
  EXPECT_TRUE(role->serving);
  EXPECT_EQ(upstream_.attests, 1);
  EXPECT_THAT(role->serve.entries, SizeIs(2));
  EXPECT_THAT(role->serve.svids, SizeIs(2));
  EXPECT_THAT(role->serve.bundles, SizeIs(1));
  const auto chain = crypto::Certificate::ParseConcatenated(role->serve.svids["0"].chain());
  ASSERT_OK(chain);
  EXPECT_THAT(chain->front().uris(), ElementsAre("spiffe://d.test/0"));
  EXPECT_EQ(role->serve.entries["0"].spiffe_id(), "spiffe://d.test/0");
  const auto key = crypto::PrivateKey::Parse(Secret(role->serve.svids["0"].key()));
  ASSERT_OK(key);
  EXPECT_EQ((*key)->public_key(), chain->front().public_key());
}

TEST_F(IdentityCoreTest, GivesUpANewNodesAttestationAfterAMinute) {
  upstream_.attest_status = Unavailable("no upstream");
  const auto role = Started(0);
  role->Pass(absl::Seconds(20));
  EXPECT_EQ(role->exit_code, -1);
  EXPECT_GT(upstream_.attests, 2);
  role->Pass(absl::Seconds(60));
  EXPECT_EQ(role->exit_code, 1);
  EXPECT_EQ(role->exit_reason, "no upstream");
}

TEST_F(IdentityCoreTest, AnAttestationThatIsDeniedOrNeedsTheOperatorIsNotTriedAgain) {
  for (const absl::Status& why :
       {BannedAtAttestation(), PermissionDenied("no"), FailedPrecondition("wrong password")}) {
    upstream_.attests = 0;
    upstream_.attest_status = why;
    TestRole role(clock_, upstream_, folder_.path());
    role.Settle();
    EXPECT_EQ(role.exit_code, 1);
    EXPECT_EQ(upstream_.attests, 1);
  }
}

TEST_F(IdentityCoreTest, AnAgentThatHasServedIsNotEndedByAnOutage) {
  upstream_.entries = {MakeEntry("0")};
  for (const absl::Status& why :
       {Unavailable("no upstream"), PermissionDenied("no"), FailedPrecondition("wrong password")}) {
    upstream_.attest_status = why;
    TempFolder folder;
    TestRole role(clock_, upstream_, folder.path(), {.has_served = true});
    role.Settle();
    role.Pass(absl::Minutes(30), absl::Seconds(5));
    EXPECT_EQ(role.exit_code, -1);
    upstream_.attest_status = absl::OkStatus();
    role.Pass(absl::Minutes(3), absl::Seconds(5));
    EXPECT_THAT(role.serve.svids, SizeIs(1));
  }
}

TEST_F(IdentityCoreTest, ABanEndsAnAgentThatHasServed) {
  upstream_.attest_status = BannedAtAttestation();
  TestRole role(clock_, upstream_, folder_.path(), {.has_served = true});
  role.Settle();
  EXPECT_EQ(role.exit_code, 1);
  EXPECT_EQ(role.exit_reason, "Agent is banned: removing SVID and shutting down");
}

TEST_F(IdentityCoreTest, AfterARestartTheSvidOnDiskServes) {
  Started(1).reset();
  const int bundles = upstream_.bundles;
  TestRole again(clock_, upstream_, folder_.path());
  again.Settle();
  EXPECT_TRUE(again.serving);
  EXPECT_EQ(upstream_.attests, 1);
  EXPECT_EQ(upstream_.bundles, bundles + 1) << "with the sync, and none for an attestation";
}

TEST_F(IdentityCoreTest, AnExpiredSvidOnDiskIsNotUsed) {
  Started(0).reset();
  clock_.Advance(upstream_.agent_ttl);
  TestRole again(clock_, upstream_, folder_.path());
  again.Settle();
  EXPECT_EQ(upstream_.attests, 2);
}

TEST_F(IdentityCoreTest, AStoredSvidThatIsRefusedAtTheStartIsReplaced) {
  Started(0).reset();
  upstream_.sync_status = RefusedAsNotAttested();
  TestRole again(clock_, upstream_, folder_.path());
  again.RunSyncJob();  // It is loaded,
  again.RunSyncJob();  // and refused.
  upstream_.sync_status = absl::OkStatus();
  again.Pass(absl::Seconds(10));
  EXPECT_GE(upstream_.attests, 2);
  EXPECT_EQ(again.exit_code, -1);
  EXPECT_TRUE(again.serving);
}

TEST_F(IdentityCoreTest, ACallerThatWaitsIsSignedForBeforeWhatIsPrefetched) {
  const auto role = Started(30, {.cache_size = 25});
  upstream_.batches.clear();
  upstream_.entries.push_back(MakeEntry("late"));
  for (RegistrationEntry& entry : upstream_.entries) {
    entry.revision_number = 1;
  }
  clock_.Advance(absl::Seconds(5));
  role->RunLoop();
  role->RunSyncJob();
  role->Want("late");
  role->Want("29");
  role->RunSigningJob();
  role->RunSigningJob();
  ASSERT_THAT(upstream_.batches, SizeIs(2));
  EXPECT_THAT(upstream_.batches[1], ElementsAre("late", "29"));
}

TEST_F(IdentityCoreTest, SvidsAreReadyUpToTheLimitAndForCallersBeyondIt) {
  const auto role = Started(5, {.cache_size = 3});
  EXPECT_THAT(role->serve.entries, SizeIs(5));
  EXPECT_THAT(role->serve.svids, SizeIs(3));
  role->Want("4");
  role->Want("3");
  role->Settle();
  EXPECT_THAT(role->serve.svids, SizeIs(5));
  role->Pass(absl::Seconds(80), absl::Seconds(5));
  EXPECT_THAT(role->serve.svids, SizeIs(3));
  EXPECT_TRUE(role->serve.svids.contains("4")) << "prefetched ones make way first";
}

TEST_F(IdentityCoreTest, AStoreTakesNoRoom) {
  for (int i = 0; i < 4; ++i) {
    upstream_.entries.push_back(MakeEntry("store-" + std::to_string(i)));
    upstream_.entries.back().store_svid = true;
  }
  const auto role = Started(5, {.cache_size = 3, .has_stores = true});
  EXPECT_THAT(role->serve.svids, SizeIs(3));
  EXPECT_EQ(role->serve.store_svids, 4);
  role->Want("4");
  role->Settle();
  EXPECT_THAT(role->serve.svids, SizeIs(4));
  role->Pass(absl::Seconds(80), absl::Seconds(5));
  EXPECT_THAT(role->serve.svids, SizeIs(3));
  EXPECT_EQ(role->serve.store_svids, 4);
}

TEST_F(IdentityCoreTest, CallersAndAStoreShareNoKeyOfAnEntry) {
  const auto role = Started(1, {.has_stores = true});
  ASSERT_THAT(role->serve.svids, SizeIs(1));
  const std::string first = role->serve.svids["0"].key();
  upstream_.entries[0].revision_number = 1;
  upstream_.entries[0].store_svid = true;
  role->Pass(absl::Seconds(10));
  EXPECT_THAT(role->serve.svids, IsEmpty());
  EXPECT_THAT(role->serve.entries, IsEmpty());
  EXPECT_EQ(role->serve.store_svids, 1);
  EXPECT_THAT(upstream_.batches, SizeIs(2)) << "the store has one of its own";
  upstream_.entries[0].revision_number = 2;
  upstream_.entries[0].store_svid = false;
  clock_.Advance(absl::Seconds(10));
  role->RunLoop();
  role->RunSyncJob();
  EXPECT_THAT(role->serve.svids, IsEmpty()) << "not the store's";
  role->Settle();
  EXPECT_THAT(upstream_.batches, SizeIs(3));
  EXPECT_NE(role->serve.svids["0"].key(), first);
}

TEST_F(IdentityCoreTest, AnEntryForAStoreThatIsNotThereHasNoSvid) {
  const auto role = Started(1);
  ASSERT_THAT(role->serve.svids, SizeIs(1));
  upstream_.entries[0].revision_number = 1;
  upstream_.entries[0].store_svid = true;
  role->Pass(absl::Hours(2), absl::Minutes(1));
  EXPECT_EQ(role->serve.store_svids, 0);
  EXPECT_THAT(upstream_.batches, SizeIs(1));
}

TEST_F(IdentityCoreTest, WhileServeIsDownStoresAreToldOfChangesAlone) {
  const auto role = Started(2, {.has_stores = true});
  role->BreakRules();
  ASSERT_FALSE(role->serve_ended.ok());
  role->Pass(absl::Seconds(10));
  const int states = role->states, syncs = upstream_.syncs;
  role->Pass(absl::Seconds(30));
  EXPECT_GT(upstream_.syncs, syncs);
  EXPECT_EQ(role->states - states, upstream_.syncs - syncs);
}

TEST_F(IdentityCoreTest, SvidsInUseStayThoughTheyAreMoreThanTheLimit) {
  const auto role = Started(10, {.cache_size = 8});
  for (int i = 0; i < 10; ++i) {
    role->Want(std::to_string(i));
  }
  role->Settle();
  EXPECT_THAT(role->serve.svids, SizeIs(10));
  const size_t batches = upstream_.batches.size();
  for (int i = 0; i < 15; ++i) {
    role->TellUsed(10);
    role->Pass(absl::Seconds(20));
    EXPECT_THAT(role->serve.svids, SizeIs(10));
  }
  EXPECT_THAT(upstream_.batches, SizeIs(batches)) << "none was signed anew";
  role->Pass(absl::Seconds(70));
  EXPECT_THAT(role->serve.svids, SizeIs(8));
}

TEST_F(IdentityCoreTest, EntriesThatForbidItAreNotPrefetched) {
  RegistrationEntry on_demand = MakeEntry("on-demand");
  on_demand.disable_x509_svid_prefetch = true;
  upstream_.entries = {on_demand};
  const auto role = Started(1);
  EXPECT_FALSE(role->serve.svids.contains("on-demand"));
  role->Want("on-demand");
  role->Settle();
  EXPECT_TRUE(role->serve.svids.contains("on-demand"));
}

TEST_F(IdentityCoreTest, SvidsAreReplacedAtHalfOfTheirLife) {
  upstream_.svid_ttl = absl::Minutes(20);
  const auto role = Started(1);
  const std::string first = role->serve.svids["0"].chain();
  role->Pass(absl::Minutes(9), absl::Seconds(5));
  EXPECT_EQ(role->serve.svids["0"].chain(), first);
  role->Pass(absl::Minutes(2), absl::Seconds(5));
  EXPECT_NE(role->serve.svids["0"].chain(), first);
  EXPECT_THAT(upstream_.batches, SizeIs(2));
}

TEST_F(IdentityCoreTest, AnExpiredSvidIsNeverServed) {
  upstream_.svid_ttl = absl::Minutes(20);
  const auto role = Started(1);
  upstream_.sign_status = Unavailable("away");
  role->Pass(absl::Minutes(20), absl::Seconds(5));
  EXPECT_THAT(role->serve.svids, SizeIs(1)) << "its last second counts";
  role->Pass(absl::Seconds(5), absl::Milliseconds(500));
  EXPECT_THAT(role->serve.svids, IsEmpty());
  upstream_.sign_status = absl::OkStatus();
  role->Pass(absl::Minutes(5), absl::Seconds(5));
  EXPECT_THAT(role->serve.svids, SizeIs(1));
}

TEST_F(IdentityCoreTest, AStepOfTheClockIsNoticed) {
  upstream_.svid_ttl = absl::Minutes(20);
  const auto role = Started(1);
  upstream_.sign_status = Unavailable("away");
  clock_.Step(absl::Hours(1));
  role->Pass(absl::Seconds(10));
  EXPECT_THAT(role->serve.svids, IsEmpty());
}

TEST_F(IdentityCoreTest, AFailedBatchIsTriedAgainInHalves) {
  upstream_.sign_status = ResourceExhausted("too many");
  const auto role = Started(150);
  role->Pass(absl::Seconds(2), absl::Milliseconds(100));
  EXPECT_GT(upstream_.batches.size(), 2u);
  EXPECT_THAT(upstream_.batches[0], SizeIs(100));
  EXPECT_THAT(upstream_.batches.back(), SizeIs(testing::Lt(100u)));
  upstream_.sign_status = absl::OkStatus();
  role->Pass(absl::Minutes(5));
  EXPECT_THAT(role->serve.svids, SizeIs(150));
}

TEST_F(IdentityCoreTest, OneEntryThatIsNotSignedHoldsUpNoOther) {
  upstream_.item_status["1"] = NotFound("entry not found or not authorized");
  const auto role = Started(3);
  EXPECT_THAT(role->serve.svids, SizeIs(2));
  upstream_.item_status.clear();
  role->Pass(absl::Seconds(10));
  EXPECT_THAT(role->serve.svids, SizeIs(3));
}

TEST_F(IdentityCoreTest, AnEntryThatIsNeverSignedIsAskedForLessAndLess) {
  const auto role = Started(2);
  upstream_.entries.push_back(MakeEntry("bad"));
  upstream_.item_status["bad"] = NotFound("entry not found or not authorized");
  role->Want("bad");
  role->Pass(absl::Minutes(30));
  EXPECT_LT(upstream_.batches.size(), 30u);
  const size_t before = upstream_.batches.size();
  for (int i = 0; i < 30; ++i) {  // While a caller waits, more often.
    role->Want("bad");
    role->Pass(absl::Seconds(1));
  }
  EXPECT_GE(upstream_.batches.size() - before, 3u);
  EXPECT_LE(upstream_.batches.size() - before, 8u);
  upstream_.item_status.clear();
  role->Want("bad");
  role->Pass(absl::Seconds(6));
  EXPECT_TRUE(role->serve.svids.contains("bad"));
}

TEST_F(IdentityCoreTest, AChangedEntryGetsANewSvid) {
  const auto role = Started(1);
  const std::string first = role->serve.svids["0"].chain();
  upstream_.entries[0].revision_number = 1;
  role->Pass(absl::Seconds(6));
  EXPECT_NE(role->serve.svids["0"].chain(), first);
}

TEST_F(IdentityCoreTest, AnEntryOfAnotherIdentityDropsTheOldSvidAtOnce) {
  const auto role = Started(1);
  upstream_.sign_status = Unavailable("away");
  upstream_.entries[0].revision_number = 1;
  upstream_.entries[0].spiffe_id = *SpiffeId::Parse("spiffe://d.test/other");
  role->Pass(absl::Seconds(6));
  EXPECT_THAT(role->serve.svids, IsEmpty());
  EXPECT_EQ(role->serve.entries["0"].spiffe_id(), "spiffe://d.test/other");
}

TEST_F(IdentityCoreTest, AnEntryThatChangesWhileItIsSignedIsSignedAgain) {
  const auto role = Started(1);
  upstream_.batches.clear();
  upstream_.entries.push_back(MakeEntry("late"));
  clock_.Advance(absl::Seconds(5));
  role->RunLoop();
  role->RunSyncJob();
  upstream_.entries[1].revision_number = 1;
  upstream_.entries[1].spiffe_id = *SpiffeId::Parse("spiffe://d.test/other");
  clock_.Advance(absl::Seconds(5));
  role->RunLoop();
  role->RunSyncJob();
  role->Settle();
  EXPECT_THAT(upstream_.batches, ElementsAre(ElementsAre("late"), ElementsAre("late")));
  const auto chain = crypto::Certificate::ParseConcatenated(role->serve.svids["late"].chain());
  EXPECT_THAT(chain->front().uris(), ElementsAre("spiffe://d.test/other"));
}

TEST_F(IdentityCoreTest, AnIdThatIsUsedAgainDoesNotGetTheOldIdentitysSvid) {
  const auto role = Started(1);
  upstream_.entries.push_back(MakeEntry("late"));
  clock_.Advance(absl::Seconds(5));
  role->RunLoop();
  role->RunSyncJob();  // "late" is being signed now.
  upstream_.entries[1].created_at += 1;
  upstream_.entries[1].spiffe_id = *SpiffeId::Parse("spiffe://d.test/other");
  clock_.Advance(absl::Seconds(6));
  role->RunLoop();
  role->RunSyncJob();
  role->Settle();
  const auto chain = crypto::Certificate::ParseConcatenated(role->serve.svids["late"].chain());
  EXPECT_THAT(chain->front().uris(), ElementsAre("spiffe://d.test/other"));
}

TEST_F(IdentityCoreTest, AnEntryThatIsGoneIsNotServed) {
  const auto role = Started(2);
  upstream_.entries.pop_back();
  role->Pass(absl::Seconds(6));
  EXPECT_THAT(role->serve.entries, SizeIs(1));
  EXPECT_THAT(role->serve.svids, SizeIs(1));
}

TEST_F(IdentityCoreTest, AnUpstreamThatIsAwayIsNotTheEnd) {
  const auto role = Started(1);
  const int64_t before = role->serve.last_sync;
  upstream_.sync_status = upstream_.renew_status = upstream_.sign_status = Unavailable("away");
  role->Pass(absl::Hours(2), absl::Seconds(10));
  EXPECT_EQ(role->exit_code, -1);
  EXPECT_THAT(role->serve.entries, SizeIs(1));
  EXPECT_LT(upstream_.syncs, 60) << "it backs off";
  upstream_.sync_status = upstream_.renew_status = upstream_.sign_status = absl::OkStatus();
  role->Pass(absl::Minutes(5));
  EXPECT_GT(role->serve.last_sync, before);
  EXPECT_THAT(role->serve.svids, SizeIs(1));
}

TEST_F(IdentityCoreTest, ABanWipesAndEnds) {
  const auto role = Started(1);
  EXPECT_THAT(AgentData(), Not(HasSubstr("\"svid\": null")));
  upstream_.sync_status = RefusedAsBanned();
  role->Pass(absl::Seconds(6));
  EXPECT_EQ(role->exit_code, 1);
  EXPECT_EQ(role->exit_reason, "Agent is banned: removing SVID and shutting down");
  EXPECT_THAT(role->serve.entries, IsEmpty());
  EXPECT_THAT(role->serve.svids, IsEmpty());
  EXPECT_THAT(AgentData(), HasSubstr("\"svid\": null"));
  EXPECT_THAT(Keys(), Not(HasSubstr("agent-svid")));
  EXPECT_FALSE(upstream_.svid.has_value());
}

TEST_F(IdentityCoreTest, AnEvictedNodeAttestsAnewWhereItCan) {
  upstream_.reattestable = true;
  const auto role = Started(1);
  upstream_.sync_status = RefusedAsNotAttested();
  clock_.Advance(absl::Seconds(6));
  role->RunLoop();
  role->RunSyncJob();
  upstream_.sync_status = absl::OkStatus();
  role->Pass(absl::Seconds(10));
  EXPECT_EQ(upstream_.attests, 2);
  EXPECT_EQ(role->exit_code, -1);
  EXPECT_THAT(role->serve.svids, SizeIs(1));
}

TEST_F(IdentityCoreTest, AnEvictedNodeThatCannotAttestAnewEnds) {
  const auto role = Started(1);
  upstream_.sign_status = RefusedAsExpired();
  upstream_.entries.push_back(MakeEntry("late"));
  role->Pass(absl::Seconds(6));
  EXPECT_EQ(role->exit_code, 1);
  EXPECT_EQ(upstream_.attests, 1);
  EXPECT_THAT(AgentData(), HasSubstr("\"svid\": null"));
}

TEST_F(IdentityCoreTest, ABannedNodeThatAttestsAnewEnds) {
  upstream_.reattestable = true;
  const auto role = Started(1);
  upstream_.sync_status = RefusedAsNotAttested();
  upstream_.attest_status = BannedAtAttestation();
  role->Pass(absl::Seconds(6));
  EXPECT_EQ(role->exit_code, 1);
  EXPECT_EQ(role->exit_reason, "Agent is banned: removing SVID and shutting down");
}

TEST_F(IdentityCoreTest, ARefusalThatIsNoBanLeavesWhatIsServed) {
  upstream_.reattestable = true;
  upstream_.agent_ttl = absl::Minutes(20);
  const auto role = Started(1);
  // A policy, a proxy, or a file of this node that may not be read.
  upstream_.attest_status = PermissionDenied("agent is banned, says a proxy");
  role->Pass(absl::Minutes(15), absl::Seconds(5));
  EXPECT_GT(upstream_.attests, 2);
  EXPECT_LT(upstream_.attests, 20) << "it backs off";
  EXPECT_EQ(role->exit_code, -1);
  EXPECT_THAT(role->serve.svids, SizeIs(1));
  upstream_.attest_status = absl::OkStatus();
  role->Pass(absl::Minutes(3), absl::Seconds(5));
  EXPECT_THAT(AgentData(), Not(HasSubstr("\"svid\": null")));
}

TEST_F(IdentityCoreTest, TheAgentsOwnSvidIsRenewedAtHalfOfItsLife) {
  upstream_.agent_ttl = absl::Minutes(20);
  const auto role = Started(1);
  const std::string first = upstream_.svid->leaf().der();
  role->Pass(absl::Minutes(11), absl::Seconds(5));
  EXPECT_EQ(upstream_.renews, 1);
  EXPECT_NE(upstream_.svid->leaf().der(), first);
  EXPECT_EQ(upstream_.attests, 1);
}

TEST_F(IdentityCoreTest, OfTheKeysOnDiskOnlyThatOfTheSvidStays) {
  upstream_.agent_ttl = absl::Minutes(20);
  const auto role = Started(1);
  EXPECT_THAT(Keys(), AllOf(HasSubstr("agent-svid-A"), Not(HasSubstr("agent-svid-B"))));
  role->Pass(absl::Minutes(11), absl::Seconds(5));
  EXPECT_THAT(Keys(), AllOf(HasSubstr("agent-svid-B"), Not(HasSubstr("agent-svid-A"))));
  TestRole again(clock_, upstream_, folder_.path());
  again.Settle();
  EXPECT_EQ(upstream_.attests, 1) << "what is on disk belongs together";
}

TEST_F(IdentityCoreTest, WhereItCanTheNodeIsAttestedAnewInsteadOfRenewed) {
  upstream_.agent_ttl = absl::Minutes(20);
  upstream_.reattestable = true;
  const auto role = Started(1);
  role->Pass(absl::Minutes(11), absl::Seconds(5));
  EXPECT_EQ(upstream_.renews, 0);
  EXPECT_EQ(upstream_.attests, 2);
  EXPECT_EQ(upstream_.attestation_patience, absl::Minutes(1)) << "syncs wait for it";
  EXPECT_TRUE(role->serving);
}

TEST_F(IdentityCoreTest, AClockThatIsWrongCausesNoCallsWithoutEnd) {
  for (const absl::Duration behind : {absl::Minutes(40), absl::Minutes(61), -absl::Minutes(30)}) {
    const auto role = Started(1);
    upstream_.agent_ttl = absl::Hours(1);
    upstream_.behind = behind;
    upstream_.RotateAuthority();
    upstream_.renews = 0;
    upstream_.batches.clear();
    role->Pass(absl::Minutes(30), absl::Seconds(1));
    EXPECT_LT(upstream_.renews, 60) << behind;
    EXPECT_LT(upstream_.batches.size(), 60u) << behind;
    EXPECT_GT(upstream_.renews, 2) << behind;
    upstream_.behind = absl::ZeroDuration();
    role->Pass(absl::Minutes(6), absl::Seconds(1));
    EXPECT_THAT(role->serve.svids, testing::Contains(testing::Key("0")));
    upstream_.entries.clear();
  }
}

TEST_F(IdentityCoreTest, SvidsOfSecondsAreReplacedInTime) {
  upstream_.svid_ttl = upstream_.agent_ttl = absl::Seconds(15);
  const auto role = Started(1);
  for (int i = 0; i < 120; ++i) {
    role->Pass(absl::Seconds(1));
    EXPECT_THAT(role->serve.svids, SizeIs(1));
  }
  EXPECT_EQ(role->exit_code, -1);
  EXPECT_LT(upstream_.batches.size(), 40u);
}

TEST_F(IdentityCoreTest, ARenewalWaitsForTheCallsThatAreUnderWay) {
  upstream_.agent_ttl = absl::Minutes(20);
  const auto role = Started(1);
  upstream_.entries.push_back(MakeEntry("late"));
  clock_.Advance(absl::Seconds(6));
  role->RunLoop();
  role->RunSyncJob();  // "late" is being signed now.
  clock_.Advance(absl::Minutes(11));
  role->RunLoop();
  role->RunSyncJob();
  EXPECT_EQ(upstream_.renews, 0);
  role->Settle();
  EXPECT_EQ(upstream_.renews, 1);
}

TEST_F(IdentityCoreTest, ARefusedCallerBringsTheNextSyncForward) {
  const auto role = Started(1);
  role->Pass(absl::Seconds(6));
  const int syncs = upstream_.syncs;
  upstream_.entries.push_back(MakeEntry("late"));
  role->TellRefused();
  role->Pass(absl::Milliseconds(1200), absl::Milliseconds(100));
  EXPECT_EQ(upstream_.syncs, syncs + 1);
  EXPECT_TRUE(role->serve.svids.contains("late"));
}

TEST_F(IdentityCoreTest, ACallerThatIsRefusedForGoodDoesNotKeepTheUpstreamBusy) {
  const auto role = Started(1);
  role->Pass(absl::Seconds(6));
  const int syncs = upstream_.syncs;
  for (int i = 0; i < 600; ++i) {
    role->TellRefused();
    role->Pass(absl::Milliseconds(100), absl::Milliseconds(100));
  }
  EXPECT_LE(upstream_.syncs - syncs, 16);
}

TEST_F(IdentityCoreTest, RefusedCallersDoNotKeepANodeWithoutEntriesSyncing) {
  const auto role = Started(0);
  const int syncs = upstream_.syncs;
  for (int i = 0; i < 60; ++i) {
    role->TellRefused();
    role->Pass(absl::Seconds(1));
  }
  EXPECT_LE(upstream_.syncs - syncs, 16);
}

TEST_F(IdentityCoreTest, AServeRoleThatBreaksTheRulesIsReported) {
  const auto role = Started(1);
  role->BreakRules();
  EXPECT_TRUE(absl::IsInvalidArgument(role->serve_ended)) << role->serve_ended;
  role->LinkServe();
  role->Settle();
  EXPECT_THAT(role->serve.svids, SizeIs(1));
}

TEST_F(IdentityCoreTest, AServeRoleThatStartsAnewIsToldEverything) {
  const auto role = Started(3);
  role->LinkServe();
  role->Settle();
  EXPECT_THAT(role->serve.entries, SizeIs(3));
  EXPECT_THAT(role->serve.svids, SizeIs(3));
  EXPECT_THAT(role->serve.bundles, SizeIs(1));
  EXPECT_EQ(role->serve.commits, 1);
}

}  // namespace
}  // namespace assay
