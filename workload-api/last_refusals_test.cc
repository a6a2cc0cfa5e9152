// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/last_refusals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;
using testing::SizeIs;

Refusal Of(uid_t uid, pid_t pid, const std::string& value = "a") {
  Refusal refusal;
  refusal.uid = uid;
  refusal.pid = pid;
  refusal.error = "no identity issued";
  refusal.attested = true;
  refusal.selectors = {{"test", value}};
  return refusal;
}

struct LastRefusalsTest : testing::Test {
  std::vector<pid_t> Pids(size_t most = 1000) const {
    std::vector<pid_t> pids;
    for (const Refusal* refusal : refusals.Newest(most)) {
      pids.push_back(refusal->pid);
    }
    return pids;
  }

  FakeClock clock;
  LastRefusals refusals{clock};
};

TEST_F(LastRefusalsTest, AreFoundByTheirReason) {
  const std::string first = refusals.Note(Of(1, 10));
  const std::string second = refusals.Note(Of(1, 11));
  EXPECT_THAT(first, MatchesRegex("[0-9A-HJKMNP-TV-Z]{12}"));
  EXPECT_EQ(refusals.Find(first)->pid, 10);
  EXPECT_EQ(refusals.Find(second)->pid, 11);
  EXPECT_EQ(refusals.Find(""), nullptr);
  EXPECT_THAT(Pids(), ElementsAre(11, 10));
  EXPECT_THAT(Pids(1), ElementsAre(11));
}

// A workload that tries again and again is told the same id, and takes one place.
TEST_F(LastRefusalsTest, OneThatComesAgainIsTheSame) {
  const std::string first = refusals.Note(Of(1, 10));
  const absl::Time at = clock.Now();
  refusals.Note(Of(1, 11));
  clock.Advance(absl::Seconds(5));
  EXPECT_EQ(refusals.Note(Of(1, 10)), first);
  const Refusal& refusal = *refusals.Find(first);
  EXPECT_EQ(refusal.count, 2U);
  EXPECT_EQ(refusal.first_at, at);
  EXPECT_EQ(refusal.last_at, clock.Now());
  EXPECT_THAT(Pids(), ElementsAre(10, 11));
}

TEST_F(LastRefusalsTest, AnotherProcessSelectorOrWishIsAnother) {
  const std::string first = refusals.Note(Of(1, 10));
  EXPECT_NE(refusals.Note(Of(2, 10)), first);
  EXPECT_NE(refusals.Note(Of(1, 10, "b")), first);
  Refusal other = Of(1, 10);
  other.asked_for = "spiffe://example.org/x";
  EXPECT_NE(refusals.Note(other), first);
  EXPECT_THAT(Pids(), SizeIs(4));
}

TEST_F(LastRefusalsTest, AUsersFloodPushesOutItsOwnAlone) {
  const std::string mine = refusals.Note(Of(1, 10));
  std::string oldest = refusals.Note(Of(2, 1));
  for (pid_t pid = 2; pid < 10'000; ++pid) {
    refusals.Note(Of(2, pid));
  }
  EXPECT_NE(refusals.Find(mine), nullptr);
  EXPECT_EQ(refusals.Find(oldest), nullptr);
  EXPECT_THAT(Pids(), SizeIs(LastRefusals::kPlaces));
  EXPECT_EQ(Pids().front(), 9999);
}

TEST_F(LastRefusalsTest, LargeOnesTakeMorePlaces) {
  const std::string mine = refusals.Note(Of(1, 10));
  const std::string large(10 * LastRefusals::kPlaceBytes, 'x');
  for (pid_t pid = 1; pid < 100; ++pid) {
    refusals.Note(Of(2, pid, large));
  }
  EXPECT_NE(refusals.Find(mine), nullptr);
  EXPECT_THAT(Pids(), SizeIs(1 + (LastRefusals::kPlaces - 1) / 11));
}

TEST_F(LastRefusalsTest, TheLargestThatThereIsFits) {
  Refusal refusal = Of(1, 10);
  refusal.selectors.assign(6000, {"test", "x"});
  EXPECT_NE(refusals.Find(refusals.Note(refusal)), nullptr);
}

}  // namespace
}  // namespace assay
