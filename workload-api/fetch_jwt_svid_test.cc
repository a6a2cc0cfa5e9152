// SPDX-License-Identifier: GPL-3.0-or-later
// What callers are answered that fetch JWT-SVIDs, of a state that changes.
#include "workload-api/fetch_jwt_svid.h"

#include "tests/support/test_jwt_methods.h"

namespace assay {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST_F(JwtMethodsTest, FetchesOneOfEachIdentityForTheAudience) {
  // WLAPI-30 WLAPI-31 WLAPI-33 WLAPI-34 WLAPI-48
  Commit(Entry("b", "h"));
  Commit(Entry("c", "h"));
  const int32_t call = StartFetch({"y", "x", "y"});
  EXPECT_THAT(Minted(), ElementsAre("a x,y", "b x,y"));
  Tell("b", {"x", "y"}, "token of b");
  EXPECT_THAT(Fetched(call), ElementsAre("")) << "it waits for the other";
  Tell("a", {"x", "y"}, "token of a");
  EXPECT_THAT(Fetched(call), ElementsAre("a=token of a", "bh=token of b"));
}

TEST_F(JwtMethodsTest, AnswersThoughTheCacheHasNotRoomForAll) {
  Commit(Entry("b"));
  Tell("a", {"x"}, "first");
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("b x"));
  roles::JwtChange change;
  SetKey(*change.add_removed(), "a", {"x"});
  ASSERT_OK(jwt_tokens_.Take(change));
  Tell("b", {"x"}, "second");
  ASSERT_OK(jwt_tokens_.Take(change));
  EXPECT_THAT(Fetched(call), ElementsAre("a=first", "b=second"));
  EXPECT_THAT(Minted(), SizeIs(0));
}

TEST_F(JwtMethodsTest, FetchesThatOfOneIdentityWhenAsked) {
  // WLAPI-32
  Commit(Entry("b"));
  const int32_t call = StartFetch({"x"}, "spiffe://example.org/b");
  EXPECT_THAT(Minted(), ElementsAre("b x"));
  Tell("b", {"x"}, "token");
  EXPECT_THAT(Fetched(call), ElementsAre("b=token"));
  Change same = Entry("c", "h");
  same.mutable_entries(0)->set_spiffe_id("spiffe://example.org/b");
  Commit(same);
  const int32_t both = StartFetch({"y"}, "spiffe://example.org/b");
  EXPECT_THAT(Minted(), ElementsAre("b y", "c y"));
  TellFailure("c", {"y"}, "no");
  EXPECT_EQ(StatusOf(both), "14 could not fetch JWT-SVID: no") << "all of it or nothing";
  EXPECT_EQ(FetchStatus({"x"}, "spiffe://example.org/nope"), "7 no identity issued");
  EXPECT_THAT(FetchStatus({"x"}, "spiffe://a.test/"), HasSubstr("3 invalid requested SPIFFE ID"));
}

TEST_F(JwtMethodsTest, WantsAnAudience) {
  // WLAPI-11 WLAPI-30
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{}, {""}, {"a", ""}, std::vector<std::string>(65, "a")}) {
    EXPECT_THAT(FetchStatus(bad), HasSubstr("3 audience "));
  }
  EXPECT_THAT(FetchStatus({std::string(9000, 'a')}), HasSubstr("3 audience "));
  EXPECT_THAT(Minted(), SizeIs(0));
}

TEST_F(JwtMethodsTest, GivesNoneToCallersWithoutAnIdentity) {
  // WLAPI-33
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  EXPECT_EQ(FetchStatus({"x"}), "7 no identity issued");
  EXPECT_THAT(Minted(), SizeIs(0));
}

TEST_F(JwtMethodsTest, GivesAtOnceWhatIsThereAndTellsThatItIsUsed) {
  Tell("a", {"x"}, "token");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=token"));
  }
  EXPECT_THAT(requests_, SizeIs(0));
  server_.clock.Advance(JwtTokens::kUseDelay);
  Step();
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(FakeServe::KeyText(requests_[0].used_jwts().keys(0)), "a x");
}

TEST_F(JwtMethodsTest, OfWhatHasMadeWayNoUseIsTold) {
  Tell("a", {"x"}, "token");
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=token"));
  roles::JwtChange change;
  SetKey(*change.add_removed(), "a", {"x"});
  ASSERT_OK(jwt_tokens_.Take(change));
  server_.clock.Advance(JwtTokens::kUseDelay);
  Step();
  EXPECT_THAT(requests_, SizeIs(0));
}

TEST_F(JwtMethodsTest, CallsForTheSameAreAskedForOnce) {
  const int32_t first = StartFetch({"x"}), second = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  Tell("a", {"x"}, "token");
  EXPECT_THAT(Fetched(first), ElementsAre("a=token"));
  EXPECT_THAT(Fetched(second), ElementsAre("a=token"));
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Minted(), SizeIs(0));
  StartFetch({"y"});
  EXPECT_THAT(Minted(), ElementsAre("a y"));
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Minted(), ElementsAre("a y")) << "the identity role is a new one";
}

TEST_F(JwtMethodsTest, WhatANewIdentityRoleDoesNotKnowMakesWayForWhatItTells) {
  Tell("a", {"x"}, "first");
  Tell("a", {"y"}, "second");
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=first")) << "the upstream may be away";
  Tell("a", {"y"}, "third");
  EXPECT_EQ(jwt_tokens_.size(), 2u);
  Tell("a", {"z"}, "fourth");
  EXPECT_EQ(jwt_tokens_.size(), 2u);
  EXPECT_THAT(Fetched(StartFetch({"y"})), ElementsAre("a=third"));
  Tell("a", {"w"}, "fifth");
  EXPECT_EQ(jwt_tokens_.size(), 3u) << "all that is here, it knows";
}

TEST_F(JwtMethodsTest, AnExpiredOneIsNotGiven) {
  Tell("a", {"x"}, "token", absl::Seconds(60));
  server_.clock.Advance(absl::Seconds(58));
  const int32_t last = StartFetch({"x"});
  Step();
  server_.clock.Advance(absl::Seconds(1));
  EXPECT_THAT(Fetched(last), ElementsAre("a=token"));
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  server_.clock.Advance(absl::Seconds(1));
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  EXPECT_EQ(StatusOf(call), "");
}

TEST_F(JwtMethodsTest, WhoComesLateGetsANewOne) {
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  requests_.clear();
  const int32_t call = StartFetch({"x"}), other = StartFetch({"x"});
  EXPECT_EQ(StatusOf(call), "");
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_TRUE(requests_[0].mint_jwt().renews());
  Tell("a", {"x"}, "new");
  EXPECT_THAT(Fetched(call), ElementsAre("a=new"));
  EXPECT_THAT(Fetched(other), ElementsAre("a=new"));
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=new"));
}

TEST_F(JwtMethodsTest, ASlowUpstreamHoldsUpNobodyWhoComesLateForLong) {
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  const int32_t call = StartFetch({"x"});
  EXPECT_EQ(StatusOf(call), "");
  server_.clock.Advance(absl::Milliseconds(900));
  const int32_t second = StartFetch({"x"});
  EXPECT_EQ(StatusOf(second), "");
  server_.clock.Advance(absl::Milliseconds(101));
  EXPECT_THAT(Fetched(call), ElementsAre("a=old"));
  EXPECT_THAT(Fetched(second), ElementsAre("a=old"));
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=old")) << "that was tried just now";
  server_.clock.Advance(JwtTokens::kRenewalInterval);
  EXPECT_EQ(StatusOf(StartFetch({"x"})), "");
}

TEST_F(JwtMethodsTest, HowLongASlowUpstreamMayHoldUpWhoComesLateCanBeSet) {
  jwt_tokens_.SetRenewalWait(absl::Seconds(25));
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  const int32_t call = StartFetch({"x"});
  EXPECT_EQ(StatusOf(call), "");
  server_.clock.Advance(absl::Seconds(24));
  const int32_t second = StartFetch({"x"});
  EXPECT_EQ(StatusOf(second), "");
  server_.clock.Advance(absl::Seconds(1));
  EXPECT_THAT(Fetched(call), ElementsAre("a=old"));
  EXPECT_THAT(Fetched(second), ElementsAre("a=old")) << "until the same moment";
}

TEST_F(JwtMethodsTest, WhenNoNewOneCanBeHadTheOldOneIsGivenAtOnce) {
  Commit(Entry("b"));
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  const int32_t call = StartFetch({"x"}, "spiffe://example.org/a");
  EXPECT_EQ(StatusOf(call), "");
  TellFailure("a", {"x"}, "no");
  EXPECT_THAT(Fetched(call), ElementsAre("a=old"));
  server_.clock.Advance(JwtTokens::kRenewalWait + JwtTokens::kRenewalInterval);
  const int32_t both = StartFetch({"x"});
  EXPECT_EQ(StatusOf(both), "");
  TellFailure("a", {"x"}, "no");
  EXPECT_EQ(StatusOf(both), "");
  TellFailure("b", {"x"}, "no");
  EXPECT_EQ(StatusOf(both), "14 could not fetch JWT-SVID: no");
}

TEST_F(JwtMethodsTest, OneThatMustNotBeGivenAnyMoreIsNotGivenToWhoComesLate) {
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  const int32_t call = StartFetch({"x"});
  EXPECT_EQ(StatusOf(call), "");
  SetBundle("example.org", {foreign_.authority()});
  server_.clock.Advance(absl::Seconds(2));
  EXPECT_EQ(StatusOf(call), "");
  SetBundle("example.org", {own_.authority()});
  Tell("a", {"x"}, "new");
  EXPECT_THAT(Fetched(call), ElementsAre("a=new"));
}

TEST_F(JwtMethodsTest, OnesThatMustDifferAreMadeForEachCall) {
  Change change = Entry("a");
  change.mutable_entries(0)->set_jwt_svid_include_jti(true);
  Commit(change);
  Tell("a", {"x"}, "old");
  const int32_t first = StartFetch({"x"}), second = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("1 a x", "2 a x"));
  Tell("a", {"x"}, "two", absl::Minutes(5), 2);
  Tell("a", {"x"}, "one", absl::Minutes(5), 1);
  EXPECT_THAT(Fetched(first), ElementsAre("a=one"));
  EXPECT_THAT(Fetched(second), ElementsAre("a=two"));
  StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("3 a x"));
}

TEST_F(JwtMethodsTest, WhatCameAndIsNotTrustedAnyMoreIsAskedForAnew) {
  Change change = Entry("a");
  change.mutable_entries(0)->set_jwt_svid_include_jti(true);
  *change.add_entries() = Entry("b").entries(0);
  Commit(change);
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), testing::UnorderedElementsAre("1 a x", "b x"));
  Tell("a", {"x"}, "old", absl::Minutes(5), 1);
  EXPECT_EQ(StatusOf(call), "");
  SetBundle("example.org", {foreign_.authority()});
  EXPECT_THAT(Minted(), SizeIs(1)) << "one of its own, signed anew";
  SetBundle("example.org", {own_.authority()});
  Tell("a", {"x"}, "new", absl::Minutes(5), 3);
  Tell("b", {"x"}, "token of b");
  EXPECT_THAT(Fetched(call), ElementsAre("a=new", "b=token of b"));
}

TEST_F(JwtMethodsTest, SaysWhyNoneCouldBeHad) {
  const int32_t failing = StartFetch({"x"});
  Step();
  TellFailure("a", {"x"}, "failed to fetch JWT SVID: no");
  EXPECT_EQ(StatusOf(failing), "14 could not fetch JWT-SVID: failed to fetch JWT SVID: no");
  const int32_t slow = StartFetch({"x"});
  EXPECT_EQ(StatusOf(slow), "");
  EXPECT_THAT(Minted(), ElementsAre("a x", "a x"));
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_THAT(StatusOf(slow), HasSubstr("14 could not fetch JWT-SVID"));
}

TEST_F(JwtMethodsTest, ACallThatWaitsEndsWithItsIdentity) {
  // WLAPI-49
  const int32_t call = StartFetch({"x"});
  Step();
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  EXPECT_EQ(StatusOf(call), "7 no identity issued");
}

TEST_F(JwtMethodsTest, KeepsNoneThatIsNotGrantedOrNotTrusted) {
  // WLAPI-26
  const auto kept = [this] { return jwt_tokens_.size(); };
  Tell("a", {"x"}, "token");
  Commit({});
  EXPECT_EQ(kept(), 1u);
  Change other = Entry("a");
  other.mutable_entries(0)->set_spiffe_id("spiffe://example.org/other");
  Commit(other);
  EXPECT_EQ(kept(), 0u);
  Commit(Entry("a"));
  Tell("a", {"x"}, "token");
  Change tainted;
  AddBundle(tainted, "example.org", {own_.authority()});
  tainted.mutable_bundles(0)->mutable_jwt_authorities(0)->set_tainted(true);
  Commit(tainted);
  EXPECT_EQ(kept(), 0u);
  SetBundle("example.org", {own_.authority()});
  Tell("a", {"x"}, "token");
  SetBundle("example.org", {foreign_.authority()});
  EXPECT_EQ(kept(), 0u);
}

TEST_F(JwtMethodsTest, RefusesToKeepWhatIsNoToken) {
  roles::JwtChange change;
  change.add_svids();
  EXPECT_THAT(jwt_tokens_.Take(change), StatusIs(absl::StatusCode::kInvalidArgument, _));
}

TEST_F(JwtMethodsTest, FieldsThatAreNotKnownAreNotKept) {
  // Field 15 with 60 KiB, of which as many as there are calls would be too much.
  const std::string unknown = "\x7a\x80\xe0\x03" + std::string(60 << 10, 'u');
  JWTSVIDRequest request;
  request.add_audience("x");
  Validate("opaque");  // The server's greeting, and all after it, waits for a first answer.
  std::vector<int32_t> calls;
  for (int i = 0; i < 90; ++i) {
    const int before = gate_.asked;
    calls.push_back(Start("FetchJWTSVID", request.SerializeAsString() + unknown));
    client_->WaitFor([&] { return gate_.asked > before; });
  }
  Tell("a", {"x"}, "token");
  for (const int32_t call : calls) {
    client_->WaitClosed(call);
    ASSERT_THAT(Fetched(call), ElementsAre("a=token"));
  }
}

TEST_F(JwtMethodsTest, WhoHadToWaitIsLookedAtAgainBeforeTheAnswer) {
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Tell("a", {"x"}, "token");
  EXPECT_THAT(StatusOf(call), HasSubstr("7 the caller executed another program"));
}

TEST_F(JwtMethodsTest, WhoHasOtherIdentitiesThenGetsThese) {
  Commit(Entry("b"));
  Commit([] {
    Change change = Entry("c");
    change.mutable_entries(0)->mutable_selectors(0)->set_value("uid:2");
    return change;
  }());
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x", "b x"));
  gate_.answer = sets_.Get({{"unix", "uid:2"}});
  Tell("a", {"x"}, "token of a");
  Tell("b", {"x"}, "token of b");
  EXPECT_THAT(Fetched(call), ElementsAre("")) << "it waits for the other identity";
  Tell("c", {"x"}, "token of c");
  EXPECT_THAT(Fetched(call), ElementsAre("c=token of c"));
}

}  // namespace
}  // namespace assay
