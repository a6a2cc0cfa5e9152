// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_svids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

ReadySvid Svid(absl::Duration rotate, absl::Duration expires, std::string authority = "a") {
  ReadySvid svid;
  svid.chain = "chain";
  svid.key = Secret("key");
  svid.authority_key_id = std::move(authority);
  svid.rotate = kNow + rotate;
  svid.expires = kNow + expires;
  return svid;
}

TEST(SvidStoreTest, NamesOnceWhatIsDue) {
  SvidStore store;
  store.Put("late", Svid(absl::Minutes(20), absl::Hours(1)), absl::ZeroDuration());
  store.Put("soon", Svid(absl::Minutes(10), absl::Hours(1)), absl::ZeroDuration());
  EXPECT_EQ(store.NextDeadline(), kNow + absl::Minutes(10));
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(9)), IsEmpty());
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(10)),
              ElementsAre(Pair("soon", kNow + absl::Hours(1))));
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(10)), IsEmpty());
  EXPECT_THAT(store.TakeDue(kNow + absl::Minutes(30)), testing::SizeIs(1));
  EXPECT_EQ(store.NextDeadline(), kNow + absl::Hours(1)) << "their expiry";
}

TEST(SvidStoreTest, ExpiredSvidsAreRemovedAtTheMomentAfterTheirLast) {
  SvidStore store;
  store.Put("a", Svid(absl::Minutes(30), absl::Hours(1)), absl::ZeroDuration());
  EXPECT_THAT(store.TakeExpired(kNow + absl::Hours(1)), IsEmpty());
  EXPECT_THAT(store.TakeExpired(kNow + absl::Hours(1) + absl::Nanoseconds(1)), ElementsAre("a"));
  EXPECT_EQ(store.Find("a"), nullptr);
  EXPECT_EQ(store.NextDeadline(), std::nullopt);
}

TEST(SvidStoreTest, AReplacementHasItsOwnDeadlines) {
  SvidStore store;
  store.Put("a", Svid(absl::Minutes(30), absl::Hours(1)), absl::ZeroDuration());
  store.Put("a", Svid(absl::Hours(5), absl::Hours(10)), absl::ZeroDuration());
  EXPECT_THAT(store.TakeDue(kNow + absl::Hours(4)), IsEmpty());
  EXPECT_THAT(store.TakeExpired(kNow + absl::Hours(9)), IsEmpty());
  EXPECT_EQ(store.size(), 1u);
}

TEST(SvidStoreTest, EvictsTheLeastRecentlyUsedButNoneOfLate) {
  SvidStore store;
  for (const std::string id : {"a", "b", "c", "d"}) {
    store.Put(id, Svid(absl::Minutes(30), absl::Hours(1)), absl::Seconds(1));
  }
  store.Use("a", absl::Seconds(2));
  store.Use("b", absl::Seconds(3));
  EXPECT_THAT(store.Evict(4, absl::Seconds(9)), IsEmpty());
  EXPECT_THAT(store.Evict(3, absl::Seconds(9)), ElementsAre("c"));
  EXPECT_THAT(store.Evict(0, absl::Seconds(2)), ElementsAre("d", "a"));
  EXPECT_NE(store.Find("b"), nullptr);
}

TEST(SvidStoreTest, AReplacementKeepsTheTimeOfTheLastUse) {
  SvidStore store;
  store.Put("a", Svid(absl::Minutes(30), absl::Hours(1)), absl::Seconds(1));
  store.Put("b", Svid(absl::Minutes(30), absl::Hours(1)), absl::Seconds(2));
  store.Put("a", Svid(absl::Minutes(30), absl::Hours(1)), absl::Seconds(3));
  EXPECT_THAT(store.Evict(1, absl::Seconds(9)), ElementsAre("a"));
}

TEST(SvidStoreTest, FindsWhatAnAuthorityHasIssued) {
  SvidStore store;
  store.Put("a", Svid(absl::Minutes(30), absl::Hours(1), "old"), absl::ZeroDuration());
  store.Put("b", Svid(absl::Minutes(30), absl::Hours(1), "new"), absl::ZeroDuration());
  store.Put("c", Svid(absl::Minutes(30), absl::Hours(1), "old"), absl::ZeroDuration());
  EXPECT_THAT(store.IssuedBy("old"), UnorderedElementsAre("a", "c"));
}

}  // namespace
}  // namespace assay
