// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_entries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "tests/support/make_entry.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RegistrationEntry MakeFederated(const std::string& id, const std::vector<std::string>& domains) {
  RegistrationEntry entry = MakeEntry(id);
  for (const std::string& domain : domains) {
    entry.federates_with.push_back(*TrustDomain::Parse(domain));
  }
  return entry;
}

// What the upstream has, told as it tells small lists (all entries) or long ones (revisions first).
EntryStore::Changes SyncAll(EntryStore& store, const std::vector<RegistrationEntry>& entries) {
  SyncPass pass(store, absl::ZeroDuration());
  for (const RegistrationEntry& entry : entries) {
    pass.OnEntry(entry);
  }
  return store.Apply(pass);
}

EntryStore::Changes SyncByRevision(EntryStore& store,
                                   const std::vector<RegistrationEntry>& entries) {
  SyncPass pass(store, absl::ZeroDuration());
  for (const RegistrationEntry& entry : entries) {
    if (pass.NeedsEntry({entry.id, entry.revision_number, entry.created_at})) {
      pass.OnEntry(entry);
    }
  }
  return store.Apply(pass);
}

std::vector<std::string> Ids(const std::vector<EntryStore::Update>& updates) {
  std::vector<std::string> ids;
  for (const EntryStore::Update& update : updates) {
    ids.push_back(update.id);
  }
  return ids;
}

TEST(EntryStoreTest, TellsNewChangedAndGoneEntriesApart) {
  for (const auto sync : {SyncAll, SyncByRevision}) {
    EntryStore store;
    EXPECT_THAT(sync(store, {MakeEntry("a"), MakeEntry("b"), MakeEntry("c")}).created,
                ElementsAre("a", "b", "c"));
    EXPECT_TRUE(sync(store, {MakeEntry("a"), MakeEntry("b"), MakeEntry("c")}).empty());
    const EntryStore::Changes changes =
        sync(store, {MakeEntry("b", 1), MakeEntry("c"), MakeEntry("d")});
    EXPECT_THAT(changes.created, ElementsAre("d"));
    EXPECT_THAT(Ids(changes.updated), ElementsAre("b"));
    EXPECT_THAT(changes.removed, ElementsAre("a"));
    EXPECT_EQ(store.size(), 3u);
    EXPECT_EQ(store.Find("a"), nullptr);
    EXPECT_EQ(store.Find("b")->revision_number, 1);
    EXPECT_EQ(SpiffeIdOf(*store.Find("d")), "spiffe://d.test/d");
  }
}

TEST(EntryStoreTest, AnEntryMadeAnewUnderTheSameIdIsAnother) {
  EntryStore store;
  SyncAll(store, {MakeEntry("a")});
  SyncPass pass(store, absl::ZeroDuration());
  EXPECT_FALSE(pass.NeedsEntry({"a", 0, 0})) << "an upstream that does not say when";
  EXPECT_FALSE(pass.NeedsEntry({"a", 0, 7}));
  EXPECT_TRUE(pass.NeedsEntry({"a", 0, 8}));
}

TEST(EntryStoreTest, SaysWhenAnEntryNeedsANewSvid) {
  EntryStore store;
  SyncAll(store, {MakeEntry("a")});
  RegistrationEntry entry = MakeEntry("a", 1);
  EXPECT_FALSE(SyncAll(store, {entry}).updated.at(0).needs_new_svid);
  entry.revision_number = 2;
  entry.spiffe_id = *SpiffeId::Parse("spiffe://d.test/other");
  EXPECT_TRUE(SyncAll(store, {entry}).updated.at(0).needs_new_svid);
  for (const bool for_store : {true, false}) {
    ++entry.revision_number;
    entry.store_svid = for_store;
    EXPECT_TRUE(SyncAll(store, {entry}).updated.at(0).needs_new_svid);
  }
}

TEST(EntryStoreTest, AFailedSyncChangesNothing) {
  EntryStore store;
  SyncAll(store, {MakeEntry("a")});
  {
    SyncPass pass(store, absl::ZeroDuration());
    pass.OnEntry(MakeEntry("b"));
  }
  EXPECT_NE(store.Find("a"), nullptr);
  EXPECT_EQ(store.size(), 1u);
}

TEST(EntryStoreTest, KnowsTheDomainsThatEntriesFederateWith) {
  EntryStore store;
  SyncAll(store, {MakeFederated("a", {"x.test", "y.test"}), MakeFederated("b", {"x.test"})});
  EXPECT_THAT(store.FederatedDomains(), ElementsAre("x.test", "y.test"));
  SyncAll(store, {MakeFederated("b", {"x.test"})});
  EXPECT_THAT(store.FederatedDomains(), ElementsAre("x.test"));
  SyncAll(store, {MakeEntry("b", 1)});
  EXPECT_THAT(store.FederatedDomains(), IsEmpty());
}

TEST(EntryStoreTest, PlacesAreUsedAgain) {
  EntryStore store;
  SyncAll(store, {MakeEntry("a"), MakeEntry("b")});
  SyncAll(store, {MakeEntry("b")});
  EXPECT_EQ(store.At(0), nullptr);
  SyncAll(store, {MakeEntry("b"), MakeEntry("c")});
  EXPECT_EQ(store.places(), 2u);
  EXPECT_EQ(store.At(0)->id(), "c");
}

TEST(EntryStoreTest, EntriesForStoresAndThoseToMakeOnDemandAreNotPrefetched) {
  EntryStore store;
  RegistrationEntry stored = MakeEntry("a"), on_demand = MakeEntry("b");
  stored.store_svid = true;
  on_demand.disable_x509_svid_prefetch = true;
  SyncAll(store, {stored, on_demand, MakeEntry("c")});
  EXPECT_FALSE(store.Find("a")->wants_prefetch);
  EXPECT_FALSE(store.Find("b")->wants_prefetch);
  EXPECT_TRUE(store.Find("c")->wants_prefetch);
}

TEST(EntryStoreTest, TellsServeWhichEntriesNoDelegateGets) {
  EntryStore store;
  RegistrationEntry admin = MakeEntry("a"), downstream = MakeEntry("b");
  admin.admin = true;
  downstream.downstream = true;
  SyncAll(store, {admin, downstream, MakeEntry("c")});
  for (const auto& [id, privileged] : {std::pair("a", true), {"b", true}, {"c", false}}) {
    roles::Entry told;
    ASSERT_TRUE(told.ParseFromString(std::string(store.Find(id)->message())));
    EXPECT_EQ(told.privileged(), privileged) << id;
  }
}

}  // namespace
}  // namespace assay
