// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Optional;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

IdentityHealth Good() {
  return {.phase = IdentityHealth::Phase::kServing,
          .now = kNow,
          .agent_expires = kNow + absl::Hours(1),
          .last_sync = kNow - absl::Seconds(3),
          .svids = 2,
          .earliest_expiry = kNow + absl::Minutes(20)};
}

TEST(IdentityHealthTest, AnAgentThatServesIsReadyAndSaysSinceWhenAndForHowLong) {
  const HealthAnswer answer = ReadyAnswer(Good(), std::nullopt);
  EXPECT_TRUE(answer.good);
  EXPECT_EQ(answer.json,
            "{\"agent\":{\"last_sync\":\"2027-01-15T07:59:57Z\",\"last_sync_age_seconds\":3,"
            "\"agent_svid_expires\":\"2027-01-15T09:00:00Z\",\"x509_svids\":2,"
            "\"expired_x509_svids\":0,\"refused_x509_svids\":0,"
            "\"earliest_expiry\":\"2027-01-15T08:20:00Z\",\"jwt_svids\":0,\"outage_budget_"
            "seconds\":1200}}\n");
}

TEST(IdentityHealthTest, OneThatHasNotBegunSaysWhatItWaitsFor) {
  IdentityHealth health;
  health.now = kNow;
  health.attestation_error = Unavailable("no route");
  EXPECT_THAT(health.Reasons(), ElementsAre("the node is not attested yet: no route"));
  EXPECT_EQ(health.OutageBudget(), std::nullopt);
  health.phase = IdentityHealth::Phase::kFirstSync;
  health.sync_error = Unavailable("no answer");
  const HealthAnswer answer = ReadyAnswer(health, std::nullopt);
  EXPECT_FALSE(answer.good);
  EXPECT_THAT(answer.json,
              AllOf(HasSubstr("nothing has been fetched from the upstream yet"),
                    HasSubstr("\"sync_error\":\"no answer\""), Not(HasSubstr("outage_budget"))));
}

TEST(IdentityHealthTest, AnUpstreamThatIsAwayIsNoReasonWhileWhatIsServedIsValid) {
  IdentityHealth health = Good();
  health.sync_error = health.signing_error = health.renewal_error = Unavailable("away");
  EXPECT_THAT(health.Reasons(), IsEmpty());
  EXPECT_THAT(ReadyAnswer(health, std::nullopt).json,
              AllOf(HasSubstr("\"sync_error\":\"away\""), HasSubstr("\"signing_error\":\"away\""),
                    HasSubstr("\"agent_svid_error\":\"away\"")));
}

TEST(IdentityHealthTest, WhatHasExpiredIsAReason) {
  IdentityHealth health = Good();
  health.expired_svids = 2;
  health.sync_error = Unavailable("away");
  EXPECT_THAT(health.Reasons(), ElementsAre("2 X509-SVIDs have expired: away"));
  EXPECT_THAT(health.OutageBudget(), Optional(absl::ZeroDuration()));
  health = Good();
  health.agent_expires = kNow - absl::Seconds(1);
  health.renewal_error = Unavailable("away");
  EXPECT_THAT(health.Reasons(), ElementsAre("the agent's SVID has expired: away"));
  EXPECT_THAT(health.OutageBudget(), Optional(absl::ZeroDuration()));
}

TEST(IdentityHealthTest, CallersThatWaitInVainAreAReason) {
  IdentityHealth health = Good();
  health.callers_wait = true;
  EXPECT_THAT(health.Reasons(), IsEmpty());
  health.signing_error = Internal("no CA");
  EXPECT_THAT(health.Reasons(), ElementsAre("callers wait for X509-SVIDs: no CA"));
}

TEST(IdentityHealthTest, AServeRoleThatIsSilentIsNotReadyAndAfterAMinuteNotLive) {
  EXPECT_EQ(LiveAnswer(std::nullopt).json, "{\"agent\":{}}\n");
  const HealthAnswer soon = LiveAnswer(absl::Seconds(59));
  EXPECT_TRUE(soon.good);
  EXPECT_FALSE(ReadyAnswer(Good(), absl::Seconds(1)).good);
  const HealthAnswer late = LiveAnswer(absl::Seconds(61));
  EXPECT_FALSE(late.good);
  EXPECT_THAT(late.json, HasSubstr("the serve role has not answered for 61 seconds"));
}

TEST(IdentityHealthTest, WhoAsksFromElsewhereGetsNoWordsOfAnUpstream) {
  IdentityHealth health = Good();
  health.expired_svids = 2;
  health.sync_error = health.signing_error = health.renewal_error = Unavailable("secret host away");
  const HealthAnswer answer = ReadyAnswer(health, std::nullopt, Words::kOurs);
  EXPECT_THAT(answer.json, AllOf(Not(HasSubstr("secret")), HasSubstr("2 X509-SVIDs have expired"),
                                 HasSubstr("\"sync_error\":\"UNAVAILABLE\"")));
}

TEST(IdentityHealthTest, WordsOfAnUpstreamAreShortAndWellFormed) {
  IdentityHealth health = Good();
  health.sync_error = Unavailable("{}", std::string(5000, '\xff') + "\"");
  EXPECT_THAT(ReadyAnswer(health, std::nullopt).json.size(), testing::Lt(3000u));
}

}  // namespace
}  // namespace assay
