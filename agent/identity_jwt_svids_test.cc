// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_jwt_svids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

JwtSvidKey Key(const std::string& entry, const std::string& audience = "x") {
  return {.entry_id = entry, .audience = {audience}};
}

ReadyJwtSvid Svid(absl::Duration ttl = absl::Minutes(5), const std::string& key_id = "k") {
  return {.spiffe_id = "spiffe://d.test/w",
          .token = Secret("token"),
          .key_id = key_id,
          .expires = kNow + ttl,
          .refresh = kNow + ttl / 2};
}

TEST(JwtSvidStoreTest, ThoseInUseAreDueOnce) {
  JwtSvidStore store;
  store.Put(Key("a"), Svid());
  store.Put(Key("b"), Svid());
  store.Use(Key("a"));
  EXPECT_EQ(store.NextDeadline(), kNow + absl::Minutes(2.5));
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(2)), IsEmpty());
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(3)), ElementsAre(Key("a")));
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(3)), IsEmpty());
  store.Use(Key("b"));
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(4)), ElementsAre(Key("b"))) << "late, but used";
  store.Put(Key("a"), Svid(absl::Minutes(10)));
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(6)), IsEmpty()) << "nobody has got the new one";
}

TEST(JwtSvidStoreTest, ExpiredOnesGo) {
  JwtSvidStore store;
  store.Put(Key("a"), Svid());
  EXPECT_THAT(store.TakeExpired(kNow + absl::Minutes(4)), IsEmpty());
  EXPECT_THAT(store.TakeExpired(kNow + absl::Minutes(5)), ElementsAre(Key("a")));
  EXPECT_EQ(store.size(), 0u);
  EXPECT_EQ(store.NextDeadline(), std::nullopt);
}

TEST(JwtSvidStoreTest, TheLeastRecentlyUsedMakeWay) {
  JwtSvidStore store;
  store.Put(Key("a"), Svid());
  store.Put(Key("b"), Svid());
  store.Put(Key("c"), Svid());
  store.Use(Key("a"));
  store.Put(Key("b"), Svid());
  EXPECT_THAT(store.Evict(2), ElementsAre(Key("b"))) << "replaced, and not used";
  EXPECT_NE(store.Find(Key("a")), nullptr);
}

TEST(JwtSvidStoreTest, EntriesWithMostMakeWayFirst) {
  JwtSvidStore store;
  store.Put(Key("one"), Svid());
  for (const char* audience : {"a", "b", "c"}) {
    store.Put(Key("many", audience), Svid());
    store.Use(Key("many", audience));
  }
  EXPECT_THAT(store.Evict(2), ElementsAre(Key("many", "a"), Key("many", "b")));
  EXPECT_THAT(store.Evict(1), ElementsAre(Key("one"))) << "among equals the least recently used";
}

TEST(JwtSvidStoreTest, FindsThoseOfAnEntryAndOfAnAuthority) {
  JwtSvidStore store;
  store.Put(Key("a", "x"), Svid());
  store.Put(Key("a", "y"), Svid(absl::Minutes(5), "other"));
  store.Put(Key("ab"), Svid());
  EXPECT_THAT(store.OfEntry("a"), ElementsAre(Key("a", "x"), Key("a", "y")));
  EXPECT_THAT(store.SignedBy({"other", "none"}), ElementsAre(Key("a", "y")));
  EXPECT_THAT(store.NotSignedBy({"k", "none"}), ElementsAre(Key("a", "y")));
  EXPECT_TRUE(store.Remove(Key("ab")));
  EXPECT_FALSE(store.Remove(Key("ab")));
}

}  // namespace
}  // namespace assay
