// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: what it knows of its own health, and what serve is told of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/identity_core.h"
#include "tests/support/test_role.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

using IdentityCoreHealthTest = IdentityCoreTest;

TEST_F(IdentityCoreHealthTest, AnAgentThatServesIsReady) {
  upstream_.svid_ttl = absl::Minutes(20);
  const auto role = Started(2);
  const IdentityHealth health = role->Health();
  EXPECT_THAT(health.Reasons(), IsEmpty());
  EXPECT_EQ(health.svids, 2u);
  EXPECT_EQ(health.entries_added, 2u);
  EXPECT_THAT(health.last_sync, Optional(health.now));
  EXPECT_THAT(health.OutageBudget(), Optional(absl::Minutes(20)));
  EXPECT_FALSE(role->serve.unready);
}

TEST_F(IdentityCoreHealthTest, BeforeItServesItSaysWhatIsMissing) {
  upstream_.attest_status = Unavailable("no route");
  const auto attesting = Started(0);
  EXPECT_THAT(attesting->Health().Reasons(), ElementsAre("the node is not attested yet: no route"));
  upstream_.attest_status = absl::OkStatus();
  upstream_.sync_status = Unavailable("no answer");
  TempFolder folder;
  TestRole syncing(clock_, upstream_, folder.path());
  syncing.Settle();
  EXPECT_THAT(syncing.Health().Reasons(),
              ElementsAre("nothing has been fetched from the upstream yet: no answer"));
}

TEST_F(IdentityCoreHealthTest, AnUpstreamThatIsAwayMakesItUnreadyOnceSomethingHasExpired) {
  upstream_.svid_ttl = absl::Minutes(20);
  const auto role = Started(2);
  upstream_.sync_status = upstream_.sign_status = Unavailable("away");
  role->Pass(absl::Minutes(19), absl::Seconds(5));
  EXPECT_THAT(role->Health().Reasons(), IsEmpty());
  EXPECT_EQ(role->Health().OutageBudget(), absl::Minutes(1));
  EXPECT_FALSE(role->serve.unready);
  role->Pass(absl::Minutes(2), absl::Seconds(5));
  EXPECT_THAT(role->Health().Reasons(), ElementsAre(HasSubstr("2 X509-SVIDs have expired: away")));
  EXPECT_EQ(role->Health().OutageBudget(), absl::ZeroDuration());
  EXPECT_TRUE(role->serve.unready);
  upstream_.sync_status = upstream_.sign_status = absl::OkStatus();
  role->Pass(absl::Minutes(9), absl::Seconds(5));
  EXPECT_THAT(role->Health().Reasons(), IsEmpty());
  EXPECT_FALSE(role->serve.unready);
}

TEST_F(IdentityCoreHealthTest, AnEntryThatTheUpstreamRefusesMakesNobodyUnready) {
  upstream_.svid_ttl = absl::Minutes(20);
  const auto role = Started(2);
  upstream_.item_status["1"] = Internal("no");
  role->Pass(absl::Minutes(25), absl::Seconds(5));
  EXPECT_EQ(role->Health().refused_svids, 1u);
  EXPECT_EQ(role->Health().svids, 1u);
  EXPECT_THAT(role->Health().Reasons(), IsEmpty());
}

TEST_F(IdentityCoreHealthTest, ExpiredSvidsOfEntriesThatAreGoneAreForgotten) {
  upstream_.svid_ttl = absl::Minutes(20);
  const auto role = Started(1);
  upstream_.sign_status = Unavailable("away");
  role->Pass(absl::Minutes(21), absl::Seconds(5));
  EXPECT_EQ(role->Health().expired_svids, 1u);
  upstream_.entries.clear();
  role->Pass(absl::Seconds(10));
  EXPECT_THAT(role->Health().Reasons(), IsEmpty());
}

TEST_F(IdentityCoreHealthTest, ServeIsAskedForItsReport) {
  const auto role = Started(0);
  int answers = 0;
  role->reports().Get([&answers](const roles::Report* report) { answers += report != nullptr; });
  role->RunLoop();
  EXPECT_EQ(role->serve.asked, 1u);
  EXPECT_EQ(answers, 0);
  role->Report();
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(role->reports().silence(), std::nullopt);
}

}  // namespace
}  // namespace assay
