// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/identity_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "spiffe/workload.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsNull;
using testing::NotNull;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr std::string_view kOwn = "example.org";

// Writes one message's worth of changes.
struct Change {
  roles::StateChange message;

  Change& Reset() {
    message.set_reset(true);
    return *this;
  }
  Change& Entry(const std::string& id, const std::string& selector = "uid:1",
                const std::string& hint = "", int64_t created_at = 0) {
    roles::Entry& entry = *message.add_entries();
    entry.set_id(id);
    entry.set_spiffe_id("spiffe://example.org/" + id);
    entry.set_hint(hint);
    entry.set_created_at(created_at);
    roles::Selector& added = *entry.add_selectors();
    added.set_type("unix");
    added.set_value(selector);
    return *this;
  }
  Change& FederatesWith(const std::string& trust_domain) {
    message.mutable_entries()->rbegin()->add_federates_with(trust_domain);
    return *this;
  }
  Change& Svid(const std::string& id, int64_t expires_at, const std::string& chain = "chain") {
    roles::Svid& svid = *message.add_svids();
    svid.set_entry_id(id);
    svid.set_chain(chain);
    svid.set_key("key");
    svid.set_expires_at(expires_at);
    return *this;
  }
  Change& Bundle(std::string_view trust_domain, const std::string& authorities) {
    roles::Bundle& bundle = *message.add_bundles();
    bundle.set_trust_domain(std::string(trust_domain));
    bundle.set_x509_authorities(authorities);
    return *this;
  }
};

struct FakeStream final : IdentityObserver {
  void OnIdentitiesChanged() override { ++told; }
  int told = 0;
};

class IdentitySetTest : public testing::Test {
 protected:
  void Commit(Change change) {
    change.message.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change.message)));
    sets_.Refresh();
  }
  int64_t In(absl::Duration time) const { return absl::ToUnixSeconds(clock_.Now() + time); }
  static std::shared_ptr<IdentitySet> Get(IdentitySets& sets, const std::string& value = "uid:1") {
    return sets.Get({{"unix", value}});
  }
  template <typename Message>
  static Message Parsed(const rpc::SharedFrame& frame) {
    Message message;
    EXPECT_THAT(frame, NotNull());
    EXPECT_TRUE(frame != nullptr && message.ParseFromString(std::string(frame->bytes().substr(5))));
    return message;
  }
  static std::vector<std::string> Ids(const rpc::SharedFrame& frame) {
    std::vector<std::string> ids;
    const auto answer = Parsed<X509SVIDResponse>(frame);
    for (const X509SVID& svid : answer.svids()) {
      ids.push_back(svid.spiffe_id().substr(std::string_view("spiffe://example.org/").size()));
    }
    return ids;
  }

  FakeClock clock_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  ServedState state_;
  std::vector<std::vector<std::string>> wanted_, used_;
  IdentitySets sets_{
      state_,
      clock_,
      *loop_,
      {.trust_domain = std::string(kOwn),
       .want = [this](const std::vector<std::string>& ids) { wanted_.push_back(ids); },
       .used = [this](const std::vector<std::string>& ids) { used_.push_back(ids); }}};
};

TEST_F(IdentitySetTest, TellsWhatStreamsHaveOpenAgainAndAgain) {
  Commit(Change()
             .Reset()
             .Bundle(kOwn, "root")
             .Entry("a")
             .Svid("a", In(absl::Hours(1)))
             .Entry("b", "uid:2")
             .Svid("b", In(absl::Hours(1))));
  Get(sets_, "uid:2");
  const auto set = Get(sets_);
  FakeStream first, second;
  set->Observe(first);
  set->Observe(second);
  EXPECT_THAT(used_, ElementsAre(ElementsAre("a")));
  for (int i = 0; i < 300; ++i) {
    clock_.Advance(absl::Seconds(1));
    loop_->RunOnce(absl::ZeroDuration());
  }
  EXPECT_GE(used_.size(), 300u / 40);
  EXPECT_LE(used_.size(), 1 + 300u / 20);
  EXPECT_THAT(used_, testing::Each(ElementsAre("a")));
  set->Forget(first);
  set->Forget(second);
}

TEST_F(IdentitySetTest, ServesCompleteAnswersInTheOrderOfEntryIds) {
  // WLAPI-06 WLAPI-15 WLAPI-16 WLAPI-17 WLAPI-48
  Commit(Change()
             .Reset()
             .Entry("b")
             .Entry("a")
             .Svid("a", In(absl::Hours(1)), "chain of a")
             .Svid("b", In(absl::Hours(1)))
             .Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  EXPECT_TRUE(set->complete());
  const auto answer = Parsed<X509SVIDResponse>(set->x509_svids());
  ASSERT_EQ(answer.svids_size(), 2);
  EXPECT_EQ(answer.svids(0).spiffe_id(), "spiffe://example.org/a");
  EXPECT_EQ(answer.svids(0).x509_svid(), "chain of a");
  EXPECT_EQ(answer.svids(0).x509_svid_key(), "key");
  EXPECT_EQ(answer.svids(0).bundle(), "roots");
  EXPECT_EQ(answer.svids(1).spiffe_id(), "spiffe://example.org/b");
}

TEST_F(IdentitySetTest, CallersWithEqualSelectorsShareOneAnswer) {
  Commit(Change().Reset().Entry("a").Svid("a", In(absl::Hours(1))).Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  EXPECT_EQ(Get(sets_), set);
  EXPECT_NE(Get(sets_, "uid:2"), set);
  EXPECT_EQ(set->x509_svids(), Get(sets_)->x509_svids());
}

TEST_F(IdentitySetTest, GivesAHintToTheOldestEntryThenTheFirstById) {  // WLAPI-18
  const int64_t later = In(absl::Hours(1));
  Commit(Change()
             .Reset()
             .Entry("a", "uid:1", "h", 20)
             .Entry("b", "uid:1", "h", 10)
             .Entry("c", "uid:1", "h", 10)
             .Entry("d")
             .Entry("e")
             .Svid("a", later)
             .Svid("b", later)
             .Svid("c", later)
             .Svid("d", later)
             .Svid("e", later)
             .Bundle(kOwn, "roots"));
  EXPECT_THAT(Ids(Get(sets_)->x509_svids()), ElementsAre("b", "d", "e"));
}

TEST_F(IdentitySetTest, TellsOfTheSvidsThatHintsHide) {
  Commit(Change()
             .Reset()
             .Bundle(kOwn, "A")
             .Entry("a", "uid:1", "x")
             .Entry("b", "uid:1", "x")
             .Svid("a", In(absl::Hours(1))));
  const auto set = Get(sets_);
  EXPECT_THAT(set->granted(), testing::SizeIs(2));
  EXPECT_TRUE(set->complete()) << "as far as answers go";
  EXPECT_FALSE(set->all_signed());
  set->Want();
  EXPECT_THAT(wanted_, ElementsAre(ElementsAre("b")));
  FakeStream stream;
  set->Observe(stream);
  Commit(Change().Svid("b", In(absl::Minutes(1))));
  EXPECT_EQ(stream.told, 1);
  EXPECT_THAT(Ids(set->x509_svids()), ElementsAre("a"));
  EXPECT_TRUE(set->all_signed());
  const uint64_t before = set->withdrawals(), all_before = set->all_withdrawals();
  clock_.Advance(absl::Minutes(1));
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(stream.told, 2) << "it has expired";
  EXPECT_EQ(set->withdrawals(), before) << "no answer had it";
  EXPECT_EQ(set->all_withdrawals(), all_before + 1);
  set->Forget(stream);
}

TEST_F(IdentitySetTest, WantsWhatIsMissingAndIsCompleteWhenItCame) {
  Commit(
      Change().Reset().Entry("a").Entry("b").Svid("a", In(absl::Hours(1))).Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  EXPECT_FALSE(set->complete());
  EXPECT_THAT(Ids(set->x509_svids()), ElementsAre("a"));
  set->Want();
  set->Want();
  EXPECT_THAT(wanted_, ElementsAre(ElementsAre("b"))) << "once a second at most";
  sets_.WantAgain();
  EXPECT_EQ(wanted_.size(), 2u) << "a new identity role was not told yet";
  EXPECT_FALSE(set->overdue());
  clock_.Advance(IdentitySet::kPatience);
  EXPECT_TRUE(set->overdue());
  Commit(Change().Svid("b", In(absl::Hours(1))));
  EXPECT_TRUE(set->complete());
  EXPECT_FALSE(set->overdue());
}

TEST_F(IdentitySetTest, NeverServesAnExpiredSvid) {
  Commit(Change()
             .Reset()
             .Entry("a")
             .Entry("b")
             .Svid("a", In(absl::Minutes(1)))
             .Svid("b", In(absl::Minutes(2)))
             .Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  FakeStream stream;
  set->Observe(stream);
  EXPECT_TRUE(set->complete());
  clock_.Advance(absl::Minutes(1));
  EXPECT_THAT(Ids(set->x509_svids()), ElementsAre("b"));
  clock_.Advance(absl::Minutes(1));
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_GT(stream.told, 0) << "by a timer, without a call";
  EXPECT_THAT(set->x509_svids(), IsNull());
  EXPECT_FALSE(set->empty());
  set->Forget(stream);
}

TEST_F(IdentitySetTest, TellsStreamsOfASteppedClockToo) {
  Commit(Change().Reset().Entry("a").Svid("a", In(absl::Hours(9))).Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  FakeStream stream;
  set->x509_svids();
  set->Observe(stream);
  clock_.Step(absl::Hours(10));
  clock_.Advance(absl::Seconds(60));
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(stream.told, 1);
  EXPECT_THAT(set->x509_svids(), IsNull());
  set->Forget(stream);
}

TEST_F(IdentitySetTest, TellsStreamsOnlyOfAnswersThatChanged) {  // WLAPI-08
  const auto state = [this] {
    return Change()
        .Reset()
        .Entry("a")
        .Entry("x", "uid:2")
        .Svid("a", In(absl::Hours(1)))
        .Bundle(kOwn, "roots");
  };
  Commit(state());
  auto set = Get(sets_);
  FakeStream stream;
  const rpc::SharedFrame first = set->x509_svids();
  set->Observe(stream);
  Commit(Change().Svid("x", In(absl::Hours(1))));
  Commit(state());
  EXPECT_EQ(stream.told, 0);
  EXPECT_EQ(set->x509_svids(), first);
  Commit(Change().Svid("a", In(absl::Hours(2)), "renewed"));
  EXPECT_EQ(stream.told, 1);
  EXPECT_NE(set->x509_svids(), first);
  Commit(Change().Bundle(kOwn, "new roots"));  // TDB-15
  EXPECT_EQ(stream.told, 2);
  EXPECT_EQ(Parsed<X509SVIDResponse>(set->x509_svids()).svids(0).bundle(), "new roots");
  set->Forget(stream);
}

TEST_F(IdentitySetTest, ShowsNothingOfAChangeBeforeItsCommit) {
  Commit(Change().Reset().Entry("a").Svid("a", In(absl::Hours(1))).Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  ASSERT_OK(state_.Receive(Change().Reset().message));
  ASSERT_OK(state_.Receive(Change().Entry("b").Svid("b", In(absl::Hours(1))).message));
  sets_.Refresh();
  EXPECT_THAT(Ids(set->x509_svids()), ElementsAre("a"));
  Commit(Change().Bundle(kOwn, "new roots"));
  EXPECT_THAT(Ids(set->x509_svids()), ElementsAre("b"));
  roles::StateChange removed;
  removed.add_removed_entries("b");
  ASSERT_OK(state_.Receive(removed));
  EXPECT_FALSE(set->empty());
  Commit({});
  EXPECT_TRUE(set->empty());
}

TEST_F(IdentitySetTest, AResetForgetsWhatGathered) {
  Commit(Change().Reset().Entry("a").Bundle(kOwn, "roots"));
  ASSERT_OK(state_.Receive(Change().Entry("b").message));
  Commit(Change().Reset().Entry("a").Bundle(kOwn, "roots"));
  EXPECT_FALSE(state_.entries().Find("b").has_value());
}

TEST_F(IdentitySetTest, StopsServingSvidsWithoutOwnAuthorities) {
  Commit(Change().Reset().Entry("a").Svid("a", In(absl::Hours(1))));
  auto set = Get(sets_);
  EXPECT_THAT(set->x509_svids(), IsNull());
  EXPECT_THAT(set->x509_bundles(), IsNull());
  Commit(Change().Bundle(kOwn, ""));
  EXPECT_THAT(set->x509_svids(), IsNull());
  EXPECT_FALSE(set->complete());
  EXPECT_THAT(Parsed<X509BundlesResponse>(set->x509_bundles()).bundles(),
              ElementsAre(Pair("spiffe://example.org", "")));
}

TEST_F(IdentitySetTest, GivesFederatedBundlesOfAllMatchingEntries) {  // WLAPI-22 WLAPI-27
  Commit(Change()
             .Reset()
             .Entry("a")
             .FederatesWith("one.test")
             .FederatesWith("unknown.test")
             .Entry("b")
             .FederatesWith("two.test")
             .FederatesWith("example.org")
             .Entry("c", "uid:2")
             .FederatesWith("three.test")
             .Svid("a", In(absl::Hours(1)))
             .Bundle(kOwn, "own")
             .Bundle("one.test", "1")
             .Bundle("two.test", "")
             .Bundle("three.test", "3"));
  auto set = Get(sets_);
  EXPECT_THAT(Parsed<X509SVIDResponse>(set->x509_svids()).federated_bundles(),
              UnorderedElementsAre(Pair("spiffe://one.test", "1"), Pair("spiffe://two.test", "")));
  EXPECT_THAT(Parsed<X509BundlesResponse>(set->x509_bundles()).bundles(),
              UnorderedElementsAre(Pair("spiffe://example.org", "own"),
                                   Pair("spiffe://one.test", "1"), Pair("spiffe://two.test", "")));
  roles::StateChange removed;
  removed.add_removed_bundles("one.test");
  Commit({removed});
  EXPECT_THAT(
      Parsed<X509BundlesResponse>(set->x509_bundles()).bundles(),  // WLAPI-29
      UnorderedElementsAre(Pair("spiffe://example.org", "own"), Pair("spiffe://two.test", "")));
}

TEST_F(IdentitySetTest, NeverServesEntriesForStores) {
  Change change;
  change.Reset().Entry("a").Svid("a", In(absl::Hours(1))).Bundle(kOwn, "roots");
  change.message.mutable_entries(0)->set_store_svid(true);
  Commit(change);
  EXPECT_TRUE(Get(sets_)->empty());
}

TEST_F(IdentitySetTest, DropsTheSvidOfAnEntryThatGotAnotherSpiffeId) {
  Commit(Change().Reset().Entry("a").Svid("a", In(absl::Hours(1))).Bundle(kOwn, "roots"));
  Change changed;
  changed.Entry("a");
  changed.message.mutable_entries(0)->set_spiffe_id("spiffe://example.org/other");
  Commit(changed);
  EXPECT_THAT(Get(sets_)->x509_svids(), IsNull());
}

TEST_F(IdentitySetTest, ForgetsSetsThatNobodyHolds) {
  Commit(Change().Reset().Entry("a").Svid("a", In(absl::Hours(1))).Bundle(kOwn, "roots"));
  std::weak_ptr<IdentitySet> idle = Get(sets_);
  auto held = Get(sets_, "uid:2");
  EXPECT_FALSE(idle.expired()) << "a next caller finds the answer made";
  Commit({});
  EXPECT_TRUE(idle.expired());
  EXPECT_EQ(Get(sets_, "uid:2"), held);
}

TEST_F(IdentitySetTest, KeepsNoLongSelectorsThatNobodyHolds) {
  Commit(Change().Reset().Entry("a").Svid("a", In(absl::Hours(1))).Bundle(kOwn, "roots"));
  const auto ask = [&](char filler) {
    return sets_.Get({{"unix", std::string(60 << 10, filler)}}, IdentitySet::For::kDelegate);
  };
  const auto held = ask('h');
  const std::weak_ptr<IdentitySet> idle = ask('i');
  EXPECT_FALSE(idle.expired());
  ask('j');
  EXPECT_TRUE(idle.expired());
  EXPECT_EQ(ask('h'), held);
}

TEST_F(IdentitySetTest, ServesWhatItHadUntilANewIdentityRoleHasSigned) {
  Commit(Change()
             .Reset()
             .Entry("a")
             .Entry("b")
             .Svid("a", In(absl::Hours(1)), "old")
             .Svid("b", In(absl::Hours(1)))
             .Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  FakeStream stream;
  set->Observe(stream);
  Change anew;
  anew.Reset().Entry("a").Entry("b").Bundle(kOwn, "roots");
  anew.message.mutable_entries(1)->set_spiffe_id("spiffe://example.org/other");
  Commit(anew);
  EXPECT_THAT(Ids(set->x509_svids()), ElementsAre("a")) << "b is another identity now";
  EXPECT_THAT(wanted_, ElementsAre(ElementsAre("b", "a")));
  Commit(Change().Svid("a", In(absl::Hours(1)), "new"));
  EXPECT_EQ(Parsed<X509SVIDResponse>(set->x509_svids()).svids(0).x509_svid(), "new");
  Commit(Change().Reset().Bundle(kOwn, "roots"));
  EXPECT_THAT(set->x509_svids(), IsNull());
  set->Forget(stream);
}

TEST_F(IdentitySetTest, CountsWhatCallersMustNotGoOnWith) {
  Commit(Change()
             .Reset()
             .Entry("a")
             .Entry("b")
             .Svid("a", In(absl::Hours(1)))
             .Svid("b", In(absl::Hours(2)))
             .Bundle(kOwn, "roots"));
  auto set = Get(sets_);
  const uint64_t before = set->withdrawals();
  Commit(Change().Entry("c").Svid("b", In(absl::Hours(3)), "renewed"));
  roles::StateChange evicted;
  evicted.add_removed_svids("a");
  Commit({evicted});
  EXPECT_EQ(set->withdrawals(), before) << "what they have is granted and valid";
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(set->withdrawals(), before + 1) << "the SVID of a has expired";
  roles::StateChange removed;
  removed.add_removed_entries("b");
  Commit({removed});
  EXPECT_EQ(set->withdrawals(), before + 2);
}

}  // namespace
}  // namespace assay
