// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/entry_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <random>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

struct Index {
  void Put(std::string_view id, std::string_view selectors,
           std::vector<std::string> federates_with = {}) {
    const std::string spiffe_id = "spiffe://example.org/" + std::string(id);
    const std::vector<Selector> parsed = Selectors(selectors);
    EXPECT_OK(entries.Put({.id = id,
                           .spiffe_id = spiffe_id,
                           .hint = "hint of " + std::string(id),
                           .created_at = 7,
                           .store_svid = false,
                           .selectors = parsed,
                           .federates_with = federates_with}));
  }
  std::vector<std::string> Match(std::string_view selectors) const {
    std::vector<std::string> ids;
    for (EntryIndex::Slot slot : entries.Match(Selectors(selectors))) {
      ids.emplace_back(entries.Get(slot).id);
    }
    return ids;
  }
  EntryIndex entries;
};

TEST(EntryIndexTest, ComparesAnEntryWithWhatSomebodyHas) {
  Index index;
  index.Put("e", "a b c");
  index.Put("nobodys", "");
  index.Put("gone", "a");
  index.entries.Remove("gone");
  const EntryIndex::Held held = index.entries.HeldOf(Selectors("b z"));
  std::vector<std::string> seen;
  for (EntryIndex::Slot slot = 0; slot < index.entries.end(); ++slot) {
    if (const auto compared = index.entries.Compare(slot, held)) {
      seen.emplace_back(index.entries.Get(slot).id);
      EXPECT_EQ(compared->held, 1U);
      EXPECT_EQ(compared->missing, 2U);
      EXPECT_THAT(index.entries.Missing(slot, held, 9), ElementsAre("test:a", "test:c"));
      EXPECT_THAT(index.entries.Missing(slot, held, 1), ElementsAre("test:a"));
    }
  }
  EXPECT_THAT(seen, ElementsAre("e"));
}

TEST(EntryIndexTest, MatchesEntriesAllOfWhoseSelectorsTheCallerHas) {
  Index index;
  index.Put("e3", "a");
  index.Put("e1", "a b");
  index.Put("e2", "a c");
  EXPECT_THAT(index.Match("a"), ElementsAre("e3"));
  EXPECT_THAT(index.Match("b a z"), ElementsAre("e1", "e3"));
  EXPECT_THAT(index.Match("a b c"), ElementsAre("e1", "e2", "e3"));
  EXPECT_THAT(index.Match("b c"), IsEmpty());
  EXPECT_THAT(index.Match(""), IsEmpty());
}

TEST(EntryIndexTest, AnEntryWithoutSelectorsIsNobodys) {
  Index index;
  index.Put("e", "");
  EXPECT_THAT(index.Match("a"), IsEmpty());
  EXPECT_TRUE(index.entries.Remove("e").has_value());
}

TEST(EntryIndexTest, KeepsWhatItIsTold) {
  Index index;
  index.Put("e", "a", {"one.test", "two.test"});
  const EntryIndex::Slot slot = index.entries.Find("e").value();
  const EntryIndex::View view = index.entries.Get(slot);
  EXPECT_EQ(view.id, "e");
  EXPECT_EQ(view.spiffe_id, "spiffe://example.org/e");
  EXPECT_EQ(view.hint, "hint of e");
  EXPECT_EQ(view.created_at, 7);
  EXPECT_THAT(index.entries.FederatesWith(slot), ElementsAre("one.test", "two.test"));
}

TEST(EntryIndexTest, ReplacesInPlaceAndRemoves) {
  Index index;
  index.Put("e", "a a b");
  const EntryIndex::Slot slot = index.entries.Find("e").value();
  index.Put("e", "c");
  EXPECT_EQ(index.entries.Find("e"), slot);
  EXPECT_EQ(index.entries.size(), 1u);
  EXPECT_THAT(index.Match("a b"), IsEmpty());
  EXPECT_THAT(index.Match("c"), ElementsAre("e"));
  EXPECT_EQ(index.entries.Remove("e"), slot);
  EXPECT_FALSE(index.entries.Remove("e").has_value());
  EXPECT_THAT(index.Match("c"), IsEmpty());
  EXPECT_EQ(index.entries.size(), 0u);
}

TEST(EntryIndexTest, RefusesPartsThatAreTooLong) {
  EntryIndex entries;
  const std::string id(70000, 'x');
  EXPECT_THAT(
      entries.Put({.id = id, .spiffe_id = "", .hint = "", .selectors = {}, .federates_with = {}}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("70000")));
  EXPECT_EQ(entries.size(), 0u);
}

// Against a plain list of entries, through many changes.
TEST(EntryIndexTest, AgreesWithASimpleListWhateverHappens) {
  std::mt19937 random(1);
  const auto words = [&random](size_t most) {
    std::string text;
    for (size_t count = random() % (most + 1); count > 0; --count) {
      text += (text.empty() ? "" : " ") + std::string(1, static_cast<char>('a' + random() % 12));
    }
    return text;
  };
  Index index;
  std::map<std::string, std::string> list;
  for (int round = 0; round < 1000; ++round) {
    const std::string id = "e" + std::to_string(random() % 50);
    if (random() % 3 == 0) {
      EXPECT_EQ(index.entries.Remove(id).has_value(), list.erase(id) == 1);
    } else {
      list[id] = words(4);
      index.Put(id, list[id]);
    }
    const std::string caller = words(8);
    std::vector<std::string> wanted;
    for (const auto& [entry, selectors] : list) {
      if (!selectors.empty() &&
          IsSubset(Normalized(Selectors(selectors)), Normalized(Selectors(caller)))) {
        wanted.push_back(entry);
      }
    }
    ASSERT_EQ(index.Match(caller), wanted);
  }
  EXPECT_EQ(index.entries.size(), list.size());
}

TEST(EntryIndexTest, HoldsAHundredThousandEntriesInThirtyMegabytes) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's heap says nothing of the real one";
#else
  const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  EntryIndex entries;
  for (int i = 0; i < 100'000; ++i) {
    const std::string id = fmt::format("00000000-0000-4000-8000-{:012}", i);
    const std::string spiffe_id = fmt::format("spiffe://example.org/ns/team-{}/sa/{}", i % 97, i);
    const std::vector<Selector> selectors = {{"k8s", fmt::format("ns:team-{}", i % 97)},
                                             {"k8s", fmt::format("sa:service-{}", i)},
                                             {"unix", fmt::format("uid:{}", i % 1000)}};
    ASSERT_OK(entries.Put({.id = id,
                           .spiffe_id = spiffe_id,
                           .hint = "",
                           .selectors = selectors,
                           .federates_with = {}}));
  }
  const size_t used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
  EXPECT_LT(used, 30u << 20);
#endif
}

}  // namespace
}  // namespace assay
