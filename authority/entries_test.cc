// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entries.h"

#include <gmock/gmock.h>

#include <initializer_list>

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kNow = 1000;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();

SpiffeId Id(std::string_view path) { return SpiffeId::Create(kDomain, path).value(); }
std::vector<Selector> Selectors(std::initializer_list<std::string_view> texts) {
  std::vector<Selector> selectors;
  for (const std::string_view text : texts) {
    selectors.push_back(Selector::Parse(text).value());
  }
  return Normalized(std::move(selectors));
}

RegistrationEntry Entry(std::string id, std::string_view parent, std::string_view spiffe_id,
                        std::initializer_list<std::string_view> selectors = {"unix:uid:0"}) {
  return {std::move(id), Id(spiffe_id), Id(parent), Selectors(selectors), {}, {}, {}};
}

std::vector<std::string> IdsOf(const std::vector<EntryPtr>& entries) {
  std::vector<std::string> ids;
  for (const EntryPtr& entry : entries) {
    ids.push_back(entry->id);
  }
  return ids;
}

class EntriesTest : public testing::Test {
 protected:
  std::vector<std::string> Authorized(std::initializer_list<std::string_view> selectors = {}) {
    return IdsOf(entries_.AuthorizedFor(Id("/spire/agent/a"), Selectors(selectors), kNow));
  }
  EntrySet entries_{kDomain};
};

TEST_F(EntriesTest, AuthorizesWhatIsUnderTheAgent) {
  entries_.Put(Entry("2", "/spire/agent/a", "/two"));
  entries_.Put(Entry("1", "/spire/agent/a", "/one"));
  entries_.Put(Entry("3", "/spire/agent/b", "/three"));
  EXPECT_THAT(Authorized(), ElementsAre("1", "2"));
}

TEST_F(EntriesTest, AuthorizesWhatIsUnderWhatIsAuthorized) {
  entries_.Put(Entry("1", "/spire/agent/a", "/one"));
  entries_.Put(Entry("2", "/one", "/two"));
  entries_.Put(Entry("3", "/two", "/three"));
  EXPECT_THAT(Authorized(), ElementsAre("1", "2", "3"));
}

TEST_F(EntriesTest, EndsWhereEntriesAreTheirOwnAncestors) {
  entries_.Put(Entry("1", "/spire/agent/a", "/one"));
  entries_.Put(Entry("2", "/one", "/two"));
  entries_.Put(Entry("3", "/two", "/one"));
  EXPECT_THAT(Authorized(), ElementsAre("1", "2", "3"));
}

TEST_F(EntriesTest, AuthorizesWhatIsUnderAnAliasButNotTheAlias) {
  entries_.Put(Entry("alias", "/spire/server", "/rack", {"t:a", "t:b"}));
  entries_.Put(Entry("1", "/rack", "/one"));
  EXPECT_THAT(Authorized({"t:a", "t:b", "t:c"}), ElementsAre("1"));
}

TEST_F(EntriesTest, WantsAllSelectorsOfAnAlias) {
  entries_.Put(Entry("alias", "/spire/server", "/rack", {"t:a", "t:b"}));
  entries_.Put(Entry("1", "/rack", "/one"));
  EXPECT_THAT(Authorized({"t:a"}), IsEmpty());
  EXPECT_THAT(Authorized({"t:b"}), IsEmpty());
  EXPECT_THAT(Authorized({}), IsEmpty());
}

TEST_F(EntriesTest, ReturnsAnEntryOnceHoweverItIsReached) {
  entries_.Put(Entry("alias", "/spire/server", "/rack", {"t:a"}));
  entries_.Put(Entry("1", "/spire/agent/a", "/rack"));
  entries_.Put(Entry("2", "/rack", "/two"));
  EXPECT_THAT(Authorized({"t:a"}), ElementsAre("1", "2"));
}

TEST_F(EntriesTest, ForgetsAnErasedEntryEverywhere) {
  RegistrationEntry entry = Entry("1", "/spire/agent/a", "/one");
  entry.admin = true;
  entries_.Put(entry);
  EXPECT_TRUE(entries_.IsAdmin(Id("/one"), kNow));
  entries_.Erase("1");
  EXPECT_EQ(entries_.Find("1"), nullptr);
  EXPECT_EQ(entries_.FindSimilar(entry), nullptr);
  EXPECT_FALSE(entries_.IsAdmin(Id("/one"), kNow));
  EXPECT_THAT(Authorized(), IsEmpty());
}

TEST_F(EntriesTest, IsAdminAsLongAsOneEntrySaysSo) {
  for (const char* id : {"1", "2"}) {
    RegistrationEntry entry =
        Entry(id, "/spire/agent/a", "/one", {"unix:uid:0", id == std::string("1") ? "a:b" : "a:c"});
    entry.admin = true;
    entries_.Put(entry);
  }
  entries_.Erase("1");
  EXPECT_TRUE(entries_.IsAdmin(Id("/one"), kNow));
  entries_.Erase("2");
  EXPECT_FALSE(entries_.IsAdmin(Id("/one"), kNow));
}

TEST_F(EntriesTest, MovesAReplacedEntry) {
  entries_.Put(Entry("1", "/spire/agent/a", "/one"));
  entries_.Put(Entry("1", "/spire/agent/b", "/one"));
  EXPECT_THAT(Authorized(), IsEmpty());
  EXPECT_EQ(entries_.size(), 1);
}

TEST_F(EntriesTest, FindsAnEntryOfTheSameContent) {
  entries_.Put(Entry("1", "/spire/agent/a", "/one", {"a:b", "c:d"}));
  EXPECT_NE(entries_.FindSimilar(Entry("", "/spire/agent/a", "/one", {"c:d", "a:b"})), nullptr);
  EXPECT_EQ(entries_.FindSimilar(Entry("", "/spire/agent/a", "/one", {"a:b"})), nullptr);
  EXPECT_EQ(entries_.FindSimilar(Entry("", "/spire/agent/b", "/one", {"a:b", "c:d"})), nullptr);
  EXPECT_EQ(entries_.FindSimilar(Entry("", "/spire/agent/a", "/two", {"a:b", "c:d"})), nullptr);
}

TEST_F(EntriesTest, RemembersAnAgentsShareUntilSomethingChanges) {
  AuthorizedEntries authorized(entries_);
  entries_.Put(Entry("1", "/spire/agent/a", "/one"));
  entries_.Put(Entry("alias", "/spire/server", "/rack", {"t:a"}));
  entries_.Put(Entry("2", "/rack", "/two"));
  const auto first = authorized.For(Id("/spire/agent/a"), {}, kNow);
  EXPECT_THAT(IdsOf(*first), ElementsAre("1"));
  EXPECT_EQ(authorized.For(Id("/spire/agent/a"), {}, kNow), first);
  EXPECT_THAT(IdsOf(*authorized.For(Id("/spire/agent/a"), Selectors({"t:a"}), kNow)),
              ElementsAre("1", "2"));
  entries_.Erase("1");
  EXPECT_THAT(*authorized.For(Id("/spire/agent/a"), {}, kNow), IsEmpty());
}

TEST_F(EntriesTest, GivesNothingByAnEntryThatHasEnded) {
  const auto put = [this](RegistrationEntry entry) {
    entry.expires_at = kNow;
    entry.admin = true;
    entries_.Put(entry);
  };
  put(Entry("1", "/spire/agent/a", "/one"));
  put(Entry("alias", "/spire/server", "/rack", {"t:a"}));
  entries_.Put(Entry("2", "/one", "/two"));
  entries_.Put(Entry("3", "/rack", "/three"));
  AuthorizedEntries authorized(entries_);
  const auto share = [&](int64_t now) {
    return IdsOf(*authorized.For(Id("/spire/agent/a"), Selectors({"t:a"}), now));
  };
  EXPECT_THAT(share(kNow - 1), ElementsAre("1", "2", "3"));
  EXPECT_TRUE(entries_.IsAdmin(Id("/one"), kNow - 1));
  EXPECT_THAT(share(kNow), IsEmpty());
  EXPECT_FALSE(entries_.IsAdmin(Id("/one"), kNow));
}

TEST_F(EntriesTest, FindsByIdInAShare) {
  entries_.Put(Entry("b", "/spire/agent/a", "/one"));
  entries_.Put(Entry("d", "/spire/agent/a", "/two"));
  const auto share = entries_.AuthorizedFor(Id("/spire/agent/a"), {}, kNow);
  EXPECT_EQ(FindIn(share, "d")->spiffe_id, Id("/two"));
  for (const char* id : {"a", "c", "e", ""}) {
    EXPECT_EQ(FindIn(share, id), nullptr) << id;
  }
}

}  // namespace
}  // namespace assay
