// SPDX-License-Identifier: GPL-3.0-or-later
// What delegates get, of a state that changes.
#include "workload-api/delegated_identity_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_delegated_identity.h"

namespace assay {
namespace {

using spire::api::agent::delegatedidentity::v1::SubscribeToJWTBundlesRequest;
using spire::api::agent::delegatedidentity::v1::SubscribeToJWTBundlesResponse;
using spire::api::agent::delegatedidentity::v1::SubscribeToX509SVIDsRequest;
using spire::api::agent::delegatedidentity::v1::SubscribeToX509SVIDsResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class DelegatedIdentityTest : public testing::Test, protected TestDelegatedIdentity {};

TEST_F(DelegatedIdentityTest, GivesTheSvidsOfWhoHasTheSelectors) {
  Change change = First();
  change.mutable_entries(1)->set_hint("hint");
  change.mutable_entries(1)->add_federates_with("b.test");
  change.mutable_entries(1)->add_federates_with("unknown.test");
  AddBundle(change, "b.test");
  Commit(change);
  const auto messages = Messages<SubscribeToX509SVIDsResponse>(
      Subscribe({{"unix", "uid:2"}, {"unix", "gid:7"}, {"unix", "uid:2"}}));
  ASSERT_THAT(messages, SizeIs(1));
  ASSERT_EQ(messages[0].x509_svids_size(), 1);
  const auto& [svid, key] =
      std::pair(messages[0].x509_svids(0).x509_svid(), messages[0].x509_svids(0).x509_svid_key());
  EXPECT_EQ(svid.id().trust_domain() + svid.id().path(), "example.org/w");
  EXPECT_THAT(svid.cert_chain(), ElementsAre(Der("leaf of w"), Der("between")));
  EXPECT_EQ(svid.hint(), "hint");
  EXPECT_EQ(svid.expires_at(), absl::ToUnixSeconds(server_.clock.Now() + absl::Hours(1)));
  EXPECT_EQ(key, "key");
  EXPECT_THAT(messages[0].federates_with(), ElementsAre("spiffe://b.test"));
}

TEST_F(DelegatedIdentityTest, SendsAgainAtEachChangeAlsoThatNothingIsLeft) {
  Commit(First());
  const int32_t call = SubscribeToWorkload();
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w")));
  Change renewed;
  AddSvid(renewed, "w", "new key");
  Commit(renewed);
  Commit(Change());  // Changes nothing.
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w"), ElementsAre("/w")));
  Remove("w");
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w"), ElementsAre("/w"), IsEmpty()));
  EXPECT_EQ(StatusOf(call), "");
}

TEST_F(DelegatedIdentityTest, WhoHasNoIdentityHasAnEmptyAnswerAndMayGetOneLater) {
  Commit(First());
  const int32_t call = Subscribe({{"unix", "uid:3"}});
  EXPECT_THAT(Paths(call), ElementsAre(IsEmpty()));
  EXPECT_GE(refused_, 1);  // One may await it upstream.
  Change change;
  AddEntry(change, "later", "uid:3");
  Commit(change);
  EXPECT_THAT(wanted_, testing::Contains("later"));
  EXPECT_THAT(Paths(call), SizeIs(1));  // Its SVID is not signed.
  Change signed_now;
  AddSvid(signed_now, "later");
  Commit(signed_now);
  EXPECT_THAT(Paths(call), ElementsAre(IsEmpty(), ElementsAre("/later")));
}

TEST_F(DelegatedIdentityTest, WhatIsTakenBackIsSaidThoughItsSuccessorIsNotSigned) {
  Commit(First());
  const int32_t call = SubscribeToWorkload();
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w")));
  Change change;
  change.add_removed_entries("w");
  AddEntry(change, "w2", "uid:2");
  Commit(change);
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w"), IsEmpty()));
  // Who has nothing waits.
  const int32_t later = SubscribeToWorkload();
  EXPECT_THAT(Paths(later), IsEmpty());
  Change signed_now;
  AddSvid(signed_now, "w2");
  Commit(signed_now);
  EXPECT_THAT(Paths(call), ElementsAre(ElementsAre("/w"), IsEmpty(), ElementsAre("/w2")));
  EXPECT_THAT(Paths(later), ElementsAre(ElementsAre("/w2")));
}

TEST_F(DelegatedIdentityTest, WhoWaitsInVainForAFirstSvidIsToldSo) {
  Change first = First();
  first.clear_svids();
  Commit(first);
  const int32_t call = SubscribeToWorkload();
  Step();
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_EQ(StatusOf(call), "14 no SVID could be had from the upstream in time");
  EXPECT_THAT(Paths(call), IsEmpty());
}

TEST_F(DelegatedIdentityTest, NeverGivesTheIdentitiesOfAdminsAndDownstreamServers) {
  Change change = First();
  AddEntry(change, "admin", "uid:2").set_privileged(true);
  AddSvid(change, "admin");
  Commit(change);
  EXPECT_THAT(Paths(SubscribeToWorkload()), ElementsAre(ElementsAre("/w")));
  // Nor when the entry becomes one.
  Change now;
  AddEntry(now, "w", "uid:2").set_privileged(true);
  Commit(now);
  EXPECT_THAT(Paths(SubscribeToWorkload()), ElementsAre(IsEmpty()));
}

TEST_F(DelegatedIdentityTest, EntriesOfOneHintAreAllGiven) {
  Change change = First();
  change.mutable_entries(1)->set_hint("same");
  AddEntry(change, "x", "uid:2").set_hint("same");
  AddSvid(change, "x");
  Commit(change);
  EXPECT_THAT(Paths(SubscribeToWorkload()), ElementsAre(ElementsAre("/w", "/x")));
}

TEST_F(DelegatedIdentityTest, EitherSelectorsOrAPidAndNotBoth) {
  Commit(First());
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  constexpr const char* kEither = "3 must provide either selectors or non-zero PID, but not both";
  EXPECT_EQ(StatusOf(Subscribe({})), kEither);
  EXPECT_EQ(StatusOf(Subscribe({{"unix", "uid:2"}}, 7)), kEither);
  EXPECT_EQ(processes_.attestations, 0);
}

TEST_F(DelegatedIdentityTest, SelectorsThatAreNoneAreRefused) {
  Commit(First());
  for (const Selector& bad : {Selector{"", "x"}, Selector{"x", ""}, Selector{"a:b", "x"}}) {
    EXPECT_EQ(StatusOf(Subscribe({{"unix", "uid:2"}, bad})),
              "3 could not parse provided selectors");
  }
  EXPECT_THAT(Paths(Subscribe({{"unix", "uid:2"}, {"x", "y:z"}})), ElementsAre(ElementsAre("/w")));
}

TEST_F(DelegatedIdentityTest, TooManySelectorsAreRefused) {
  Commit(First());
  std::vector<Selector> selectors;
  for (int i = 0; i < 10'000; ++i) {
    selectors.push_back({"unix", fmt::format("gid:{}", i)});
  }
  EXPECT_THAT(StatusOf(Subscribe(selectors)), StartsWith("3 10000 selectors"));
  selectors.resize(DelegatedSubject::kMostSelectors + 1);
  EXPECT_THAT(StatusOf(Subscribe(selectors)), StartsWith("3 1025 selectors"));
  EXPECT_THAT(StatusOf(Subscribe({{"unix", std::string(DelegatedSubject::kMostBytes, 'x')}})),
              StartsWith("3 1 selectors"));
  selectors.resize(500);
  selectors.push_back({"unix", "uid:2"});
  EXPECT_THAT(Paths(Subscribe(selectors)), ElementsAre(ElementsAre("/w")));
}

TEST_F(DelegatedIdentityTest, WhatStreamsKeepOfSelectorsIsChargedToTheirUser) {
  Commit(First());
  const std::string request =
      ForSelectors<SubscribeToX509SVIDsRequest>({{"unix", std::string(60 << 10, 'x')}})
          .SerializeAsString();
  std::vector<std::unique_ptr<Http2Client>> clients;
  size_t refused = 0;
  for (int i = 0; i < 200; ++i) {
    if (i % 50 == 0) {
      clients.push_back(server_.Connect());
    }
    const int32_t call = clients.back()->Start(
        "/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/SubscribeToX509SVIDs", request);
    for (int step = 0; step < 5; ++step) {
      clients.back()->Step();
    }
    const std::string why = clients.back()->stream(call).message();
    refused += why == "no memory for a large request at this time" ? 1 : 0;
  }
  EXPECT_GT(refused, 100u);
  EXPECT_LT(refused, 170u);
  // What is small is served.
  EXPECT_THAT(Paths(SubscribeToWorkload()), ElementsAre(ElementsAre("/w")));
}

TEST_F(DelegatedIdentityTest, BundlesAreSentAgainWithoutATrustDomainThatIsGone) {
  Change first = First();
  AddBundle(first, "b.test", "b");
  Commit(first);
  const int32_t call = SubscribeToBundles();
  EXPECT_THAT(Bundles(call), ElementsAre("spiffe://b.test=b spiffe://example.org=roots"));
  Change change;
  change.add_removed_bundles("b.test");
  Commit(change);
  Commit(Change());
  EXPECT_THAT(Bundles(call), ElementsAre("spiffe://b.test=b spiffe://example.org=roots",
                                         "spiffe://example.org=roots"));
  Change more;
  AddBundle(more, "c.test", "c");
  Commit(more);
  EXPECT_THAT(Bundles(call).back(), "spiffe://c.test=c spiffe://example.org=roots");
}

TEST_F(DelegatedIdentityTest, JwtBundlesAreJwkSets) {
  Commit(First());
  const int32_t call = Start("SubscribeToJWTBundles", SubscribeToJWTBundlesRequest());
  const auto messages = Messages<SubscribeToJWTBundlesResponse>(call);
  ASSERT_THAT(messages, SizeIs(1));
  ASSERT_EQ(messages[0].bundles().size(), 1u);
  EXPECT_THAT(messages[0].bundles().at("spiffe://example.org"), HasSubstr("\"keys\""));
  // A change of X.509 authorities alone is none of theirs.
  Change change;
  AddBundle(change, "example.org", "new roots");
  Commit(change);
  EXPECT_THAT(Messages<SubscribeToJWTBundlesResponse>(call), SizeIs(1));
}

TEST_F(DelegatedIdentityTest, ARequestThatDoesNotParseIsAnError) {
  Commit(First());
  const int32_t call = client_->Start(
      "/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/SubscribeToX509SVIDs", "\xff\xff");
  EXPECT_EQ(StatusOf(call), "13 grpc: error unmarshalling request");
}

}  // namespace
}  // namespace assay
