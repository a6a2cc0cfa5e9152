// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/entry_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "assay/roles.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Found = absl::StatusOr<std::vector<FoundEntries>>;

// "a b" is the selectors test:a and test:b.
std::vector<Selector> Selectors(std::string_view words) {
  std::vector<Selector> selectors;
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    selectors.push_back({"test", std::string(words.substr(0, end))});
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return selectors;
}

void AddEntry(roles::StateChange& change, const std::string& id, std::string_view words,
              bool store_svid = false) {
  roles::Entry& entry = *change.add_entries();
  entry.set_id(id);
  entry.set_spiffe_id("spiffe://example.org/" + id);
  entry.set_store_svid(store_svid);
  for (const Selector& selector : Selectors(words)) {
    roles::Selector& added = *entry.add_selectors();
    added.set_type(selector.type);
    added.set_value(selector.value);
  }
}

// "e1-b-c": entry e1, which misses b and c.
std::vector<std::string> Texts(const std::vector<FoundEntry>& entries) {
  std::vector<std::string> texts;
  for (const FoundEntry& entry : entries) {
    texts.push_back(entry.id);
    for (const std::string& missing : entry.missing) {
      texts.back() += "-" + missing.substr(5);
    }
  }
  return texts;
}

struct EntrySearchTest : testing::Test {
  void Commit(roles::StateChange change = {}) {
    change.set_commit(true);
    ASSERT_OK(state.Receive(std::move(change)));
  }
  void Commit(const std::string& id, std::string_view words) {
    roles::StateChange change;
    AddEntry(change, id, words);
    Commit(std::move(change));
  }
  // So many of both that a search takes three rounds.
  void CommitMany() {
    roles::StateChange change;
    for (size_t i = 0; i < 3 * EntrySearch::kCostPerRound / 64; ++i) {
      AddEntry(change, std::to_string(i), "x y z");
    }
    Commit(std::move(change));
  }
  static std::vector<std::vector<Selector>> Many() {
    return std::vector<std::vector<Selector>>(63, Selectors("a"));
  }
  void Begin(std::vector<std::vector<Selector>> processes) {
    found.reset();
    search.Begin(std::move(processes), [this](Found result) { found = std::move(result); });
  }
  // How many rounds it took.
  int Finish() {
    int rounds = 0;
    for (; !found.has_value() && rounds < 1000; ++rounds) {
      loop->RunOnce(absl::ZeroDuration());
    }
    return rounds;
  }
  FoundEntries Of(std::string_view words) {
    Begin({Selectors(words)});
    Finish();
    EXPECT_OK(*found);
    return found->ok() ? (**found).at(0) : FoundEntries();
  }

  FakeClock clock;
  std::unique_ptr<EventLoop> loop = EventLoop::Create(clock).value();
  ServedState state;
  EntrySearch search{*loop, state};
  std::optional<Found> found;
};

TEST_F(EntrySearchTest, FindsWhatMatchesAndOfTheOthersTheNearest) {
  roles::StateChange change;
  AddEntry(change, "all", "a b");
  AddEntry(change, "one", "a b c");
  AddEntry(change, "two", "a c d");
  AddEntry(change, "none", "z");
  AddEntry(change, "far", "a c d e f");
  AddEntry(change, "farther", "c d e f g");
  AddEntry(change, "farthest", "c d e f g h");
  Commit(std::move(change));
  const FoundEntries entries = Of("a b");
  EXPECT_THAT(Texts(entries.matched), ElementsAre("all"));
  EXPECT_EQ(entries.matched_count, 1U);
  // With nothing in common an entry is one farther: "none" is as far as "two", which is preferred.
  EXPECT_THAT(Texts(entries.nearest),
              ElementsAre("one-c", "two-c-d", "none-z", "far-c-d-e-f", "farther-c-d-e-f-g"));
  EXPECT_EQ(entries.nearest[1].selectors, 3U);
  EXPECT_EQ(entries.nearest[1].missing_count, 2U);
  EXPECT_EQ(entries.nearest[1].spiffe_id, "spiffe://example.org/two");
}

TEST_F(EntrySearchTest, EachProcessHasItsOwn) {
  roles::StateChange change;
  AddEntry(change, "a", "a");
  AddEntry(change, "b", "b");
  Commit(std::move(change));
  Begin({Selectors("a"), Selectors("b"), {}});
  Finish();
  ASSERT_OK(*found);
  ASSERT_THAT(**found, SizeIs(3));
  EXPECT_THAT(Texts((**found)[0].matched), ElementsAre("a"));
  EXPECT_THAT(Texts((**found)[1].nearest), ElementsAre("a-a"));
  EXPECT_THAT(Texts((**found)[2].nearest), ElementsAre("a-a", "b-b"));
}

TEST_F(EntrySearchTest, AnEntryForAStoreMatchesAndIsNeverNear) {
  roles::StateChange change;
  AddEntry(change, "s", "a", /*store_svid=*/true);
  roles::Svid& svid = *change.add_svids();
  svid.set_entry_id("s");
  svid.set_expires_at(INT64_MAX);
  AddEntry(change, "e", "a");
  Commit(std::move(change));
  const FoundEntries matching = Of("a");
  ASSERT_THAT(Texts(matching.matched), ElementsAre("e", "s"));
  EXPECT_FALSE(matching.matched[0].has_svid || matching.matched[0].store_svid);
  EXPECT_TRUE(matching.matched[1].has_svid && matching.matched[1].store_svid);
  EXPECT_THAT(Texts(Of("b").nearest), ElementsAre("e-a"));
}

TEST_F(EntrySearchTest, TellsNoMoreThanSoMuch) {
  roles::StateChange change;
  std::string many;
  for (int i = 0; i < 100; ++i) {
    many += fmt::format("x{:03} ", i);
  }
  AddEntry(change, "e", many);
  for (int i = 0; i < 200; ++i) {
    AddEntry(change, fmt::format("m{:03}", i), "a");
  }
  Commit(std::move(change));
  const FoundEntries entries = Of("a");
  EXPECT_THAT(entries.matched, SizeIs(EntrySearch::kMatched));
  EXPECT_EQ(entries.matched_count, 200U);
  ASSERT_THAT(entries.nearest, SizeIs(1));
  EXPECT_THAT(entries.nearest[0].missing, SizeIs(EntrySearch::kMissing));
  EXPECT_EQ(entries.nearest[0].missing_count, 100U);
  EXPECT_THAT(Of("b").nearest, SizeIs(EntrySearch::kNearest));
}

TEST_F(EntrySearchTest, GoesByRoundsAndBeginsAnewWhenTheEntriesChange) {
  CommitMany();
  Begin(Many());
  EXPECT_GE(Finish(), 3);
  Begin(Many());
  loop->RunOnce(absl::ZeroDuration());
  EXPECT_FALSE(found.has_value());
  Commit("near", "a b");
  Finish();
  ASSERT_OK(*found);
  EXPECT_EQ(Texts((**found)[0].nearest).front(), "near-b");
}

TEST_F(EntrySearchTest, GivesUpWhenTheEntriesNeverRest) {
  CommitMany();
  Begin(Many());
  for (int i = 0; i < 1000 && !found.has_value(); ++i) {
    Commit("e", i % 2 == 0 ? "y" : "z");
    loop->RunOnce(absl::ZeroDuration());
  }
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(*found, StatusIs(absl::StatusCode::kAborted, HasSubstr("try again")));
}

TEST_F(EntrySearchTest, IsUnavailableBeforeTheFirstState) {
  Begin({Selectors("a")});
  Finish();
  EXPECT_THAT(*found, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("not synchronised")));
  Commit();
  EXPECT_THAT(Of("a").nearest, IsEmpty());
}

TEST_F(EntrySearchTest, OneThatIsCancelledIsNotTold) {
  Commit("e", "a");
  bool told = false;
  search.Cancel(search.Begin({Selectors("a")}, [&](const Found&) { told = true; }));
  EXPECT_THAT(Texts(Of("a").matched), ElementsAre("e"));
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace assay
