// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/serve_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "tests/support/fake_clock.h"

namespace assay {
namespace {

using testing::ElementsAre;

constexpr std::string_view kFetch = "/SpiffeWorkloadAPI/FetchX509SVID";

TEST(ServeCountsTest, CountsCallsByMethodAndCode) {
  FakeClock clock;
  ServeCounts counts(clock);
  counts.OnCallEnd(kFetch, absl::StatusCode::kOk, absl::Milliseconds(2));
  counts.OnCallEnd(kFetch, absl::StatusCode::kOk, absl::Milliseconds(3));
  counts.OnCallEnd(kFetch, absl::StatusCode::kPermissionDenied, absl::Milliseconds(1));
  counts.OnConnectionRefused();
  counts.NoteConnection();
  roles::Report report;
  counts.FillIn(report);
  ASSERT_EQ(report.calls_size(), 2);
  EXPECT_EQ(report.calls(0).method(), kFetch);
  EXPECT_EQ(report.calls(0).count(), 2u);
  EXPECT_DOUBLE_EQ(report.calls(0).elapsed_ms(), 5);
  EXPECT_EQ(report.calls(1).code(), 7);
  EXPECT_EQ(report.refused_connections(), 1u);
  EXPECT_EQ(report.connections(), 1u);
}

TEST(ServeCountsTest, KnowsHowManyCallsOfAServiceAreOpen) {
  constexpr std::string_view kStream =
      "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
  FakeClock clock;
  ServeCounts counts(clock);
  for (int i = 0; i < 3; ++i) {
    counts.OnCallBegin(kStream);
  }
  counts.OnCallEnd(kStream, absl::StatusCode::kOk, absl::Seconds(1));
  counts.OnCallBegin(kFetch);
  roles::Report report;
  counts.FillIn(report);
  ASSERT_EQ(report.services_size(), 2);
  EXPECT_EQ(report.services(0).name(), "SpiffeWorkloadAPI");
  EXPECT_EQ(report.services(1).name(), "envoy.service.secret.v3.SecretDiscoveryService");
  EXPECT_EQ(report.services(1).calls(), 3u);
  EXPECT_EQ(report.services(1).open_calls(), 2u);
}

TEST(ServeCountsTest, NoCodeMakesItGrow) {
  FakeClock clock;
  ServeCounts counts(clock);
  for (int code = -3; code < 1000; ++code) {
    counts.NoteAttestation(static_cast<absl::StatusCode>(code), absl::Milliseconds(1), 0);
    counts.OnCallEnd(kFetch, static_cast<absl::StatusCode>(code), absl::Milliseconds(1));
  }
  roles::Report report;
  counts.FillIn(report);
  EXPECT_EQ(report.attestations_size(), 17);
  EXPECT_EQ(report.calls_size(), 17);
}

TEST(ServeCountsTest, CountsAttestationsAndWhatTheyFound) {
  FakeClock clock;
  ServeCounts counts(clock);
  counts.NoteAttestation(absl::StatusCode::kOk, absl::Milliseconds(2), 4);
  counts.NoteAttestation(absl::StatusCode::kOk, absl::Milliseconds(2), 3);
  counts.NoteAttestation(absl::StatusCode::kNotFound, absl::Milliseconds(2), 0);
  roles::Report report;
  counts.FillIn(report);
  ASSERT_EQ(report.attestations_size(), 2);
  EXPECT_EQ(report.attestations(0).count(), 2u);
  EXPECT_EQ(report.attestations(0).selectors(), 7u);
  EXPECT_EQ(report.attestations(1).code(), 5);
}

TEST(ServeCountsTest, SortsFirstAnswersByTheirBounds) {
  FakeClock clock;
  ServeCounts counts(clock);
  counts.OnFirstMessage(kFetch, absl::Milliseconds(1));
  counts.OnFirstMessage(kFetch, absl::Milliseconds(2));
  counts.OnFirstMessage(kFetch, absl::Minutes(1));
  counts.OnFirstMessage("/grpc.health.v1.Health/Check", absl::Milliseconds(1));
  roles::Report report;
  counts.FillIn(report);
  EXPECT_THAT(report.first_svid_counts(), ElementsAre(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
  EXPECT_DOUBLE_EQ(report.first_svid_seconds(), 60.003);
}

}  // namespace
}  // namespace assay
