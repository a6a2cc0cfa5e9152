// SPDX-License-Identifier: GPL-3.0-or-later
// Who is a delegate, of authorizations that change, and the processes that it refers to.
#include "workload-api/delegate_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_delegated_identity.h"

namespace assay {
namespace {

using spire::api::agent::delegatedidentity::v1::SubscribeToJWTBundlesRequest;
using spire::api::agent::delegatedidentity::v1::SubscribeToJWTBundlesResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class DelegateGateTest : public testing::Test, protected TestDelegatedIdentity {};

TEST_F(DelegateGateTest, ACallerThatIsNoDelegateIsToldSo) {
  Commit(First());
  service_.Authorize({"spiffe://example.org/other"});
  EXPECT_EQ(StatusOf(SubscribeToWorkload()), kNotAuthorized);
  EXPECT_EQ(StatusOf(SubscribeToBundles()), kNotAuthorized);
  EXPECT_EQ(StatusOf(Start("SubscribeToJWTBundles", SubscribeToJWTBundlesRequest())),
            kNotAuthorized);
  // What else is wrong is not for it to know.
  EXPECT_EQ(StatusOf(Subscribe({})), kNotAuthorized);
  EXPECT_EQ(processes_.attestations, 0);
  Remove("delegate");
  EXPECT_EQ(StatusOf(SubscribeToWorkload()), "7 no identity issued");
  gate_.answer = Unavailable("workload attestation failed");
  EXPECT_EQ(StatusOf(SubscribeToBundles()), "14 workload attestation failed");
}

TEST_F(DelegateGateTest, ADelegateWhoseEntryGoesIsSentNothingMore) {
  Commit(First());
  const int32_t svids = SubscribeToWorkload();
  const int32_t bundles = SubscribeToBundles();
  Step();
  // With what would be a new message for both.
  Change change;
  change.add_removed_entries("delegate");
  AddEntry(change, "another", "uid:1");
  AddSvid(change, "w", "new key");
  AddBundle(change, "example.org", "new roots");
  Commit(change);
  EXPECT_EQ(StatusOf(svids), kNotAuthorized);
  EXPECT_EQ(StatusOf(bundles), kNotAuthorized);
  EXPECT_THAT(Paths(svids), SizeIs(1));
  EXPECT_THAT(Bundles(bundles), SizeIs(1));
}

TEST_F(DelegateGateTest, ADelegateWithoutAnSvidWhoseEntryIsAnothersNowIsSentNothingMore) {
  Commit(First());
  const int32_t bundles = SubscribeToBundles();
  Step();
  Change change;
  AddEntry(change, "delegate", "uid:1").set_spiffe_id("spiffe://example.org/another");
  Commit(change);
  EXPECT_EQ(StatusOf(bundles), kNotAuthorized);
}

TEST_F(DelegateGateTest, ADelegateThatWaitsIsLookedAtAgainBeforeItsFirstMessage) {
  Change first = First();
  first.clear_svids();
  Commit(first);
  const int32_t call = SubscribeToWorkload();
  Step();
  EXPECT_THAT(wanted_, ElementsAre("w"));
  Change change;
  change.add_removed_entries("delegate");
  AddSvid(change, "w");
  Commit(change);
  EXPECT_EQ(StatusOf(call), "7 no identity issued");
  EXPECT_THAT(Paths(call), IsEmpty());
}

TEST_F(DelegateGateTest, StreamsEndWhenTheirDelegateIsNotAuthorizedAnyMore) {
  Commit(First());
  const int32_t svids = SubscribeToWorkload();
  const int32_t bundles = SubscribeToBundles();
  Step();
  service_.Authorize({"spiffe://example.org/delegate", "spiffe://example.org/other"});
  EXPECT_EQ(StatusOf(svids) + StatusOf(bundles), "");
  service_.Authorize({});
  EXPECT_EQ(StatusOf(svids), kNotAuthorized);
  EXPECT_EQ(StatusOf(bundles), kNotAuthorized);
}

TEST_F(DelegateGateTest, ACallerThatIsAnotherProgramNowIsSentNothingMore) {
  Commit(First());
  const int32_t call = SubscribeToWorkload();
  Step();
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Change renewed;
  AddSvid(renewed, "w", "new key");
  Commit(renewed);
  EXPECT_THAT(StatusOf(call), HasSubstr("executed another program"));
  EXPECT_THAT(Paths(call), SizeIs(1));
}

TEST_F(DelegateGateTest, NobodyIsJudgedBeforeTheFirstState) {
  const int32_t svids = SubscribeToWorkload();
  const int32_t bundles = SubscribeToBundles();
  const int32_t jwt = Start("SubscribeToJWTBundles", SubscribeToJWTBundlesRequest());
  EXPECT_EQ(StatusOf(svids) + StatusOf(bundles) + StatusOf(jwt), "");
  Commit(First());
  EXPECT_THAT(Paths(svids), ElementsAre(ElementsAre("/w")));
  EXPECT_THAT(Bundles(bundles), ElementsAre("spiffe://example.org=roots"));
  EXPECT_THAT(Messages<SubscribeToJWTBundlesResponse>(jwt), SizeIs(1));
}

TEST_F(DelegateGateTest, WhoWaitsForTheFirstStateIsToldInTheEnd) {
  const int32_t call = SubscribeToBundles();
  Step();
  server_.clock.Advance(WorkloadService::kFirstStateGrace);
  EXPECT_EQ(StatusOf(call), "14 the agent has not synchronised with its upstream yet");
}

TEST_F(DelegateGateTest, AProcessIsAttestedBeforeEachMessage) {
  Commit(First());
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  const int32_t call = Subscribe({}, 7);
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w")));
  EXPECT_EQ(processes_.attestations, 1);
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:3"}};
  Change change;
  AddSvid(change, "w", "new key");
  AddEntry(change, "other", "uid:3");
  AddSvid(change, "other");
  Commit(change);
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w"), ElementsAre("/other")));
}

TEST_F(DelegateGateTest, AProcessThatWaitsIsAttestedAgainBeforeItsFirstMessage) {
  Change first = First();
  first.clear_svids();
  Commit(first);
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  const int32_t call = Subscribe({}, 7);
  Step();
  EXPECT_THAT(wanted_, ElementsAre("w"));
  // It has executed another program meanwhile.
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:3"}};
  Change change;
  AddSvid(change, "w");
  AddEntry(change, "other", "uid:3");
  AddSvid(change, "other");
  Commit(change);
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/other")));
}

TEST_F(DelegateGateTest, ACallerThatBecameAnotherProgramGetsNoFirstMessage) {
  Change first = First();
  first.clear_svids();
  Commit(first);
  const int32_t call = SubscribeToWorkload();
  Step();
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Change change;
  AddSvid(change, "w");
  Commit(change);
  EXPECT_THAT(StatusOf(call), HasSubstr("executed another program"));
  EXPECT_THAT(Paths(call), IsEmpty());
}

TEST_F(DelegateGateTest, AStreamEndsWithTheProcessItIsFor) {
  Commit(First());
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  const int32_t call = Subscribe({}, 7);
  EXPECT_THAT(Paths(call), SizeIs(1));
  processes_.End(7);
  // Another process of that number is not meant.
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:1"}};
  Change renewed;
  AddSvid(renewed, "w", "new key");
  Commit(renewed);
  EXPECT_EQ(StatusOf(call), "5 process 7 has ended");
  EXPECT_THAT(Paths(call), SizeIs(1));
  EXPECT_EQ(processes_.open, 0);
}

TEST_F(DelegateGateTest, AProcessThatEndsWhileItIsAttestedGetsNothing) {
  Commit(First());
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  processes_.waits = true;
  const int32_t call = Subscribe({}, 7);
  EXPECT_EQ(StatusOf(call), "");
  processes_.End(7);
  EXPECT_EQ(StatusOf(call), "14 workload attestation failed");
  EXPECT_THAT(Paths(call), IsEmpty());
}

TEST_F(DelegateGateTest, TheCallerIsLookedAtAgainOnceAProcessIsAttested) {
  Commit(First());
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  processes_.waits = true;
  const int32_t call = Subscribe({}, 7);
  Step();
  gate_.answer = Unavailable("the caller has exited");
  processes_.Answer();
  EXPECT_EQ(StatusOf(call), "14 the caller has exited");
  EXPECT_THAT(Paths(call), IsEmpty());
}

TEST_F(DelegateGateTest, ProcessesThatCannotBeAttestedAreUnavailable) {
  Commit(First());
  processes_.found[7] = Unavailable("all attestors fail");
  for (const pid_t pid : {-1, 1, 7, 4'000'000}) {
    EXPECT_EQ(StatusOf(Subscribe({}, pid)), "14 workload attestation failed") << pid;
  }
}

TEST_F(DelegateGateTest, AProcessIsLetGoWithItsCall) {
  Commit(First());
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  Subscribe({}, 7);
  Step();
  EXPECT_EQ(processes_.open, 1);
  client_ = server_.Connect();
  Step();
  EXPECT_EQ(processes_.open, 0);
}

}  // namespace
}  // namespace assay
