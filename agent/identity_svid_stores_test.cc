// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_svid_stores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/make_entry.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr std::string_view kLeaf = "\x30\x01L", kAuthority =
                                                    "\x30\x01"
                                                    "A";

struct PutBundles {
  std::vector<std::string> own;
  std::map<std::string, std::string> federated;
};

// Notes its calls: "put W at name:a", "delete name:a".
class FakeStore final : public SvidStoreCalls {
 public:
  // Puts of the entry that fails are answered with an error, all other calls with the answer.
  FakeStore(std::vector<std::string>& calls, const absl::Status& answer, const std::string& fails,
            PutBundles& bundles)
      : calls_(calls), answer_(answer), fails_(fails), bundles_(bundles) {}
  absl::Status Put(const StoredSvid& svid, const std::vector<std::string>& metadata) override {
    calls_.push_back(fmt::format("put {} of {} at {}", svid.spiffe_id.substr(16), svid.chain.size(),
                                 fmt::join(metadata, ",")));
    bundles_ = {svid.bundle, svid.federated_bundles};
    return svid.spiffe_id.substr(16) == fails_ ? Unavailable("not this one") : answer_;
  }
  absl::Status Delete(const std::vector<std::string>& metadata) override {
    calls_.push_back(fmt::format("delete {}", fmt::join(metadata, ",")));
    return answer_;
  }

 private:
  std::vector<std::string>& calls_;
  const absl::Status& answer_;
  const std::string& fails_;
  PutBundles& bundles_;
};

class SvidStoresTest : public testing::Test {
 protected:
  SvidStoresTest() : loop_(*EventLoop::Create(clock_)) {
    SvidStores::Options options{.trust_domain = "example.org",
                                .stores = {},
                                .run =
                                    [this](auto job) {
                                      ++begun_;
                                      if (is_hung_) {
                                        hung_.push_back(std::move(job));
                                      } else {
                                        loop_->Post(std::move(job));
                                      }
                                    },
                                .random = [] { return 0.5; }};
    for (const char* name : {"disk", "cloud"}) {
      options.stores.emplace(name, std::make_unique<FakeStore>(calls_, answer_, fails_, put_));
    }
    stores_.emplace(std::move(options), *loop_, clock_);
  }

  RegistrationEntry Entry(const std::string& id, const std::vector<Selector>& selectors) {
    RegistrationEntry entry = MakeEntry(id, ++revision_);
    entry.selectors = selectors;
    entry.store_svid = true;
    return entry;
  }
  // These entries, and no others.
  void SetEntries(std::vector<RegistrationEntry> entries) {
    SyncPass pass(entries_, absl::ZeroDuration());
    for (RegistrationEntry& entry : entries) {
      pass.OnEntry(std::move(entry));
    }
    entries_.Apply(pass);
  }
  void Sign(const std::string& id, absl::Time expires = kNow) {
    ReadySvid svid;
    svid.chain = std::string(kLeaf) + std::string(kAuthority);
    svid.key = Secret("key");
    svid.expires = expires;
    svids_.Put(id, std::move(svid), absl::ZeroDuration());
  }
  // The calls since the last time.
  std::vector<std::string> Update() {
    stores_->Update({entries_, svids_, bundles_});
    return Run();
  }
  std::vector<std::string> Run() {
    for (int i = 0; i < 20; ++i) {
      loop_->RunOnce(absl::ZeroDuration());
    }
    return std::exchange(calls_, {});
  }

  FakeClock clock_;
  std::unique_ptr<EventLoop> loop_;
  EntryStore entries_;
  SvidStore svids_;
  std::map<std::string, TrustBundle> bundles_;
  std::vector<std::string> calls_;
  absl::Status answer_;
  std::string fails_;     // An entry's id; empty: none.
  PutBundles put_;        // The last.
  bool is_hung_ = false;  // The calls that begin now.
  std::vector<std::function<void()>> hung_;
  int begun_ = 0;
  std::optional<SvidStores> stores_;
  int64_t revision_ = 0;
};

TEST_F(SvidStoresTest, PutsAnSvidOnceItIsSigned) {
  SetEntries({Entry("e", {{"disk", "name:a"}})});
  EXPECT_THAT(Update(), IsEmpty());
  Sign("e");
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at name:a"));
  EXPECT_THAT(Update(), IsEmpty());
}

TEST_F(SvidStoresTest, WhatAnotherEntryHasInAPlaceStays) {
  const RegistrationEntry first = Entry("a", {{"disk", "name:x"}});
  SetEntries({first});
  Sign("a");
  Update();
  SetEntries({first, Entry("b", {{"disk", "name:x"}})});
  EXPECT_THAT(Update(), IsEmpty()) << "b is not signed yet";
  SetEntries({first});
  EXPECT_THAT(Update(), IsEmpty());
  // Made anew under another id, before the first is out.
  answer_ = Unavailable("away");
  SetEntries({});
  EXPECT_THAT(Update(), ElementsAre("delete name:x"));
  answer_ = absl::OkStatus();
  SetEntries({Entry("c", {{"disk", "name:x"}})});
  Sign("c");
  EXPECT_THAT(Update(), ElementsAre("put c of 2 at name:x"));
  clock_.Advance(absl::Minutes(2));
  EXPECT_THAT(Run(), IsEmpty());
}

TEST_F(SvidStoresTest, WhoStaysInAPlaceIsPutAgainWhereAnotherWasPutOverIt) {
  const RegistrationEntry first = Entry("a", {{"disk", "name:x"}});
  SetEntries({first});
  Sign("a");
  Update();
  SetEntries({first, Entry("b", {{"disk", "name:x"}})});
  Sign("b");
  EXPECT_THAT(Update(), ElementsAre("put b of 2 at name:x"));
  SetEntries({first});
  EXPECT_THAT(Update(), ElementsAre("put a of 2 at name:x"));
}

TEST_F(SvidStoresTest, OfSeveralWhoStayInAPlaceTheLastOneStands) {
  std::vector<RegistrationEntry> entries;
  for (const char* id : {"a", "c", "b"}) {
    entries.push_back(Entry(id, {{"disk", "name:x"}}));
    SetEntries(entries);
    Sign(id);
    Update();
  }
  SetEntries({entries[0], entries[2]});
  EXPECT_THAT(Update(), IsEmpty()) << "b was put over c";
  SetEntries({entries[0]});
  EXPECT_THAT(Update(), ElementsAre("put a of 2 at name:x"));
}

TEST_F(SvidStoresTest, WhoWasPutInVainDoesNotStandForAPlace) {
  std::vector<RegistrationEntry> entries;
  for (const char* id : {"c", "a", "b"}) {
    fails_ = "b";
    entries.push_back(Entry(id, {{"disk", "name:x"}}));
    SetEntries(entries);
    Sign(id);
    Update();
  }
  SetEntries({entries[1], entries[2]});
  EXPECT_THAT(Update(), IsEmpty()) << "a was put over c, and b is tried again later";
}

TEST_F(SvidStoresTest, WhatLeavesIsDeletedWhereWhoStaysCannotBePut) {
  for (const auto& [stays, leaves] : {std::pair("a", "b"), std::pair("f", "e")}) {
    const RegistrationEntry first = Entry(stays, {{"disk", "name:x"}});
    SetEntries({first});
    Sign(stays);
    Update();
    SetEntries({first, Entry(leaves, {{"disk", "name:x"}})});
    Sign(leaves);
    Update();
    fails_ = stays;
    SetEntries({first});
    const std::string put = fmt::format("put {} of 2 at name:x", stays);
    EXPECT_THAT(Update(), ElementsAre(put, "delete name:x"));
    fails_.clear();
    clock_.Advance(absl::Minutes(1));
    EXPECT_THAT(Run(), ElementsAre(put));
    clock_.Advance(absl::Minutes(10));
    EXPECT_THAT(Run(), IsEmpty());
    SetEntries({});
    Update();
  }
}

TEST_F(SvidStoresTest, WhatWasPutWellElsewhereDoesNotStandForAPlace) {
  const RegistrationEntry first = Entry("a", {{"disk", "name:x"}});
  SetEntries({first, Entry("c", {{"disk", "name:y"}})});
  Sign("a");
  Sign("c");
  Update();
  fails_ = "c";
  const RegistrationEntry moved = Entry("c", {{"disk", "name:x"}});
  SetEntries({first, moved});
  EXPECT_THAT(Update(), ElementsAre("delete name:y", "put c of 2 at name:x"));
  SetEntries({moved});
  EXPECT_THAT(Update(), ElementsAre("delete name:x"));
}

TEST_F(SvidStoresTest, WhatAnAgentBeforeMayHavePutInAPlaceIsPutOver) {
  const RegistrationEntry stays = Entry("b", {{"disk", "name:x"}});
  SetEntries({Entry("a", {{"disk", "name:x"}}), stays});
  EXPECT_THAT(Update(), IsEmpty());
  SetEntries({stays});
  Sign("b");
  EXPECT_THAT(Update(), ElementsAre("put b of 2 at name:x"));
}

TEST_F(SvidStoresTest, APlaceThatNothingIsPutInIsEmptied) {
  SetEntries({Entry("a", {{"disk", "name:x"}})});
  Sign("a");
  Update();
  SetEntries({Entry("b", {{"disk", "name:x"}})});
  EXPECT_THAT(Update(), ElementsAre("delete name:x")) << "b may never be signed";
}

TEST_F(SvidStoresTest, PutsTheBundlesThatTheEntryIsFor) {
  const TestCa own, other("other.test"), foreign("foreign.test");
  for (const TestCa* ca : {&own, &other, &foreign}) {
    bundles_.emplace(ca->trust_domain().name(), ca->Bundle());
  }
  RegistrationEntry entry = Entry("e", {{"disk", "name:a"}});
  entry.federates_with = {TestDomain("other.test"), TestDomain("unknown.test")};
  SetEntries({entry});
  Sign("e");
  Update();
  EXPECT_THAT(put_.own, ElementsAre(own.certificate().der()));
  EXPECT_THAT(put_.federated,
              ElementsAre(testing::Pair("spiffe://other.test", other.certificate().der())));
}

TEST_F(SvidStoresTest, PutsAgainWhatIsRenewedOrUpdated) {
  SetEntries({Entry("e", {{"disk", "name:a"}})});
  Sign("e");
  Update();
  Sign("e", kNow + absl::Seconds(1));
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at name:a"));
  SetEntries({Entry("e", {{"disk", "name:a"}})});
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at name:a"));
}

TEST_F(SvidStoresTest, OtherEntriesAreNoneOfItsBusiness) {
  RegistrationEntry entry = Entry("e", {{"disk", "name:a"}});
  entry.store_svid = false;
  SetEntries({entry});
  Sign("e");
  EXPECT_THAT(Update(), IsEmpty());
}

TEST_F(SvidStoresTest, DeletesWhatIsGoneOrForStoresNoMore) {
  SetEntries({Entry("e", {{"disk", "name:a"}}), Entry("f", {{"disk", "name:b"}})});
  Sign("e");
  Sign("f");
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at name:a", "put f of 2 at name:b"));
  RegistrationEntry served = Entry("f", {{"unix", "uid:1"}});
  served.store_svid = false;
  SetEntries({served});
  EXPECT_THAT(Update(), ElementsAre("delete name:a", "delete name:b"));
  EXPECT_THAT(Update(), IsEmpty());
}

TEST_F(SvidStoresTest, AnotherPlaceIsADeleteAndAPut) {
  SetEntries({Entry("e", {{"disk", "name:a"}})});
  Sign("e");
  Update();
  SetEntries({Entry("e", {{"disk", "name:b"}})});
  EXPECT_THAT(Update(), ElementsAre("delete name:a", "put e of 2 at name:b"));
}

TEST_F(SvidStoresTest, NoStoreOfTheNameAndMixedSelectorsPutNothing) {
  SetEntries({Entry("e", {{"s3", "x"}}), Entry("f", {{"disk", "a"}, {"s3", "x"}})});
  Sign("e");
  Sign("f");
  EXPECT_THAT(Update(), IsEmpty());
  SetEntries({Entry("e", {{"disk", "x"}})});
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at x"));
  SetEntries({Entry("e", {{"s3", "x"}})});
  EXPECT_THAT(Update(), ElementsAre("delete x"));
}

TEST_F(SvidStoresTest, AFailedPutIsTriedAgainLaterAndLater) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  answer_ = Unavailable("plugin is not running");
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at a"));
  EXPECT_THAT(Update(), IsEmpty());
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(Run(), ElementsAre("put e of 2 at a"));
  answer_ = absl::OkStatus();
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(Run(), IsEmpty());
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(Run(), ElementsAre("put e of 2 at a"));
}

TEST_F(SvidStoresTest, AFailedDeleteIsTriedAgainUnlessThereIsNoSuchPlace) {
  SetEntries({Entry("e", {{"disk", "a"}}), Entry("f", {{"disk", "b"}})});
  Sign("e");
  Sign("f");
  Update();
  answer_ = Unavailable("away");
  SetEntries({Entry("f", {{"disk", "b"}})});
  EXPECT_THAT(Update(), testing::Contains("delete a"));
  answer_ = InvalidArgument("no such name");
  clock_.Advance(absl::Seconds(6));
  EXPECT_THAT(Run(), testing::Contains("delete a"));
  clock_.Advance(absl::Minutes(10));
  EXPECT_THAT(Run(), testing::Not(testing::Contains("delete a")));
}

TEST_F(SvidStoresTest, ARestartedStoreIsGivenEverythingAgain) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  Update();
  stores_->OnRestart("other");
  EXPECT_THAT(Run(), IsEmpty());
  stores_->OnRestart("disk");
  EXPECT_THAT(Run(), ElementsAre("put e of 2 at a"));
}

TEST_F(SvidStoresTest, WhatIsGoneWhileItIsPutIsDeletedAfterIt) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  stores_->Update({entries_, svids_, bundles_});
  EXPECT_TRUE(stores_->is_busy());
  SetEntries({});
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at a", "delete a"));
}

TEST_F(SvidStoresTest, WhatWasPutInVainIsDeletedToo) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  answer_ = absl::DeadlineExceededError("no answer");
  EXPECT_THAT(Update(), ElementsAre("put e of 2 at a"));
  SetEntries({});
  EXPECT_THAT(Update(), ElementsAre("delete a"));
  answer_ = NotFound("nothing there");
  clock_.Advance(absl::Seconds(11));
  EXPECT_THAT(Run(), ElementsAre("delete a"));
  clock_.Advance(absl::Minutes(10));
  EXPECT_THAT(Run(), IsEmpty());
}

TEST_F(SvidStoresTest, AfterAPutInVainAnotherPlaceIsADeleteAndAPut) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  answer_ = absl::DeadlineExceededError("no answer");
  Update();
  answer_ = absl::OkStatus();
  SetEntries({Entry("e", {{"disk", "b"}})});
  EXPECT_THAT(Update(), ElementsAre("delete a", "put e of 2 at b"));
}

TEST_F(SvidStoresTest, WhatAnAgentBeforeMayHavePutIsDeleted) {
  SetEntries({Entry("e", {{"disk", "a"}}), Entry("f", {{"disk", "b"}}), Entry("g", {{"s3", "c"}})});
  EXPECT_THAT(Update(), IsEmpty());
  SetEntries({Entry("f", {{"disk", "d"}})});
  EXPECT_THAT(Update(), ElementsAre("delete a"));
  Sign("f");
  EXPECT_THAT(Update(), ElementsAre("delete b", "put f of 2 at d"));
}

TEST_F(SvidStoresTest, AStoreThatHangsKeepsNoOtherWaiting) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  is_hung_ = true;
  EXPECT_THAT(Update(), IsEmpty());
  is_hung_ = false;
  SetEntries({Entry("e", {{"disk", "a"}}), Entry("f", {{"disk", "b"}}),
              Entry("g", {{"cloud", "c"}}), Entry("h", {{"cloud", "d"}})});
  for (const char* id : {"f", "g", "h"}) {
    Sign(id);
  }
  EXPECT_THAT(Update(), ElementsAre("put g of 2 at c", "put h of 2 at d"));
  EXPECT_TRUE(stores_->is_busy());
  ASSERT_EQ(hung_.size(), 1U);
  hung_.front()();
  EXPECT_THAT(Run(), ElementsAre("put e of 2 at a", "put e of 2 at a", "put f of 2 at b"));
  EXPECT_FALSE(stores_->is_busy());
}

TEST_F(SvidStoresTest, OfOneStoreOneCallIsUnderWay) {
  SetEntries({Entry("e", {{"disk", "a"}}), Entry("f", {{"disk", "b"}})});
  Sign("e");
  Sign("f");
  stores_->Update({entries_, svids_, bundles_});
  stores_->OnRestart("disk");
  EXPECT_EQ(begun_, 1);
  EXPECT_THAT(Run(), ElementsAre("put e of 2 at a", "put e of 2 at a", "put f of 2 at b"));
}

TEST_F(SvidStoresTest, WhatMovesToAnotherStoreIsPutOnceItIsDeleted) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  Update();
  is_hung_ = true;
  SetEntries({Entry("e", {{"cloud", "b"}})});
  EXPECT_THAT(Update(), IsEmpty());
  is_hung_ = false;
  EXPECT_THAT(Update(), IsEmpty());
  ASSERT_EQ(hung_.size(), 1U);
  hung_.front()();
  EXPECT_THAT(Run(), ElementsAre("delete a", "put e of 2 at b"));
}

TEST_F(SvidStoresTest, AnExpiredSvidIsNotPut) {
  SetEntries({Entry("e", {{"disk", "a"}})});
  Sign("e");
  answer_ = Unavailable("away");
  Update();
  svids_.Remove("e");
  answer_ = absl::OkStatus();
  clock_.Advance(absl::Minutes(10));
  EXPECT_THAT(Update(), IsEmpty());
}

}  // namespace
}  // namespace assay
