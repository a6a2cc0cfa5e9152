// SPDX-License-Identifier: GPL-3.0-or-later
// What proxies are sent while SVIDs are being signed, and what they are told of those that are gone
// meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_sds.h"
#include "workload-api/sds_methods.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using SdsWaitingTest = SdsTest;

TEST_F(SdsWaitingTest, KeepsTheDefaultWhileAnotherIsSigned) {
  Begin();
  Grant("b");
  const int32_t call = Open("StreamSecrets", Whole({"default"}));
  EXPECT_THAT(Sent(call), SizeIs(1));
  Commit(Entry("a"));
  EXPECT_THAT(Sent(call), SizeIs(1)) << "the first identity has no SVID yet";
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), SizeIs(2));
  Commit(Entry("0"));
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_THAT(Sent(call), SizeIs(2)) << "of those that there are it is the first still";
}

TEST_F(SdsWaitingTest, BundlesDoNotWaitForSvids) {
  Begin();
  Commit(Entry("a"));
  const int32_t call = Open("StreamSecrets", Whole({"spiffe://other.org", "ROOTCA"}));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("ROOTCA")));
  EXPECT_EQ(refused_, 1) << "it is missed at once";
  EXPECT_EQ(wanted_, 0) << "no SVID is asked for";
}

// Hints are of the Workload API, where one of two entries with the same hint is left out.
TEST_F(SdsWaitingTest, EntriesWithOneHintAreAllThere) {
  Begin();
  Commit(Entry("a", "same"));
  Commit(Entry("b", "same"));
  Commit(Svid("a"));
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), Id("b")}));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a")));
  EXPECT_GT(wanted_, 0) << "it is not signed yet";
  Commit(Svid("b"));
  EXPECT_THAT(Sent(call).back(), ElementsAre("a", "b"));
  Commit(Svid("b", 2));
  EXPECT_THAT(Sent(call), SizeIs(3));
  EXPECT_THAT(Sent(Open("StreamSecrets", Whole({}))),
              ElementsAre(ElementsAre("spiffe://example.org", "a", "b")));
  server_.clock.Advance(absl::Hours(1));
  EXPECT_THAT(Sent(call).back(), IsEmpty()) << "expired";
}

TEST_F(SdsWaitingTest, WhoHasNoDefaultWaitsForTheFirstIdentitysButNotForEver) {
  Begin();
  Grant("b");
  Commit(Entry("a"));
  const int32_t call = Open("StreamSecrets", Whole({"default"}));
  EXPECT_THAT(Sent(call), IsEmpty());
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("default")));
}

// Of entries with one hint the oldest keeps it, and of these the first by id.
TEST_F(SdsWaitingTest, FetchWaitsForAnSvidThatAHintHides) {
  Begin();
  Commit(Entry("a", "same"));
  Commit(Entry("b", "same"));
  Commit(Svid("a"));
  const int32_t call = client_->Start(std::string(kSdsService) + "FetchSecrets",
                                      Whole({Id("b")}).SerializeAsString());
  EXPECT_FALSE(Ended(call)) << "the caller may have it";
  Commit(Svid("b"));
  EXPECT_EQ(client_->WaitClosed(call).status(), 0);
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("b")));
}

TEST_F(SdsWaitingTest, TheDefaultIsNoOthersWhileAHintHidesTheFirst) {
  Begin();
  Change first = Entry("a", "same");
  first.mutable_entries(0)->set_created_at(2);
  Change older = Entry("b", "same");
  older.mutable_entries(0)->set_created_at(1);
  Commit(first);
  Commit(older);
  Commit(Svid("b"));
  const int32_t call = Open("StreamSecrets", Whole({"default"}));
  EXPECT_THAT(Sent(call), IsEmpty()) << "the first identity's is being signed";
  EXPECT_EQ(refused_, 0) << "nothing is missing";
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("default")));
}

TEST_F(SdsWaitingTest, AHiddenEntryThatIsDeletedIsGoneAtOnce) {
  Begin();
  Commit(Entry("a", "same"));
  Commit(Entry("b", "same"));
  Commit(Svid("a"));
  Commit(Svid("b"));
  const int32_t call = Open("DeltaSecrets", Delta({Id("b")}));
  EXPECT_THAT(DeltasSent(call), SizeIs(1));
  Commit(Entry("c"));
  Commit(Without("b"));
  EXPECT_THAT(DeltasSent(call).back(), "-" + Id("b") + " ") << "another SVID is being signed";
}

TEST_F(SdsWaitingTest, AHiddenSvidThatIsSignedAnewIsNotGone) {
  Begin();
  Commit(Entry("a", "same"));
  Commit(Entry("b", "same"));
  Commit(Svid("a"));
  Commit(Svid("b"));
  const int32_t call = Open("DeltaSecrets", Delta({Id("b")}));
  EXPECT_THAT(DeltasSent(call), SizeIs(1));
  Change evicted;
  evicted.add_removed_svids("b");
  Commit(evicted);
  EXPECT_THAT(DeltasSent(call), SizeIs(1));
  Commit(Svid("b", 2));
  EXPECT_THAT(DeltasSent(call), ElementsAre("+" + Id("b") + " ", "+" + Id("b") + " "));
}

TEST_F(SdsWaitingTest, NothingIsAwaitedThatNoAuthorityVerifies) {
  Begin();
  Grant("a");
  const int32_t call = Open("DeltaSecrets", Delta({Id("a")}));
  EXPECT_THAT(DeltasSent(call), SizeIs(1));
  Commit(Bundle("example.org", ""));
  EXPECT_THAT(DeltasSent(call).back(), "-" + Id("a") + " ");
}

}  // namespace
}  // namespace assay
