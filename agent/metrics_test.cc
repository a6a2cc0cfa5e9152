// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "assay/roles.pb.h"

namespace assay {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

Metrics::Options OptionsOf(TelemetryConfig config = {}) {
  return {.config = std::move(config),
          .trust_domain = "d.test",
          .host = "node1",
          .version = "1.2.3",
          .attestor = "join_token"};
}

IdentityHealth Health() {
  return {.phase = IdentityHealth::Phase::kServing,
          .now = kNow,
          .agent_expires = kNow + absl::Hours(1),
          .last_sync = kNow - absl::Seconds(3),
          .entries = 3,
          .bundles = 1,
          .entries_added = 4,
          .svids = 2,
          .earliest_expiry = kNow + absl::Minutes(20)};
}

std::string TextOf(const Metrics& metrics, const roles::Report* report = nullptr) {
  return metrics.Text(
      {.health = Health(), .report = report, .ready = true, .uptime = absl::Seconds(5)});
}

TEST(MetricsTest, TellsHowTheAgentIs) {
  const Metrics metrics(OptionsOf());
  const std::string text = TextOf(metrics);
  for (const char* line :
       {"spire_agent_ready{host=\"node1\"} 1\n",
        "spire_agent_sync_entries_total{host=\"node1\"} 3\n",
        "spire_agent_lru_cache_svid_map_size{host=\"node1\",svid_type=\"X509\"} 2\n",
        "# TYPE spire_agent_lru_cache_entry_add counter\n"
        "spire_agent_lru_cache_entry_add{host=\"node1\"} 4\n",
        "spire_agent_outage_budget_seconds{host=\"node1\"} 1200\n",
        "spire_agent_last_sync_timestamp_seconds{host=\"node1\"} 1799999997\n",
        "spire_agent_agent_svid_expiry_timestamp_seconds{host=\"node1\"} 1800003600\n",
        "spire_agent_x509_svid_earliest_expiry_timestamp_seconds{host=\"node1\"} 1800001200\n",
        "spire_agent_upstream_reachable{host=\"node1\"} 0\n",
        "spire_agent_uptime_in_ms{host=\"node1\"} 5000\n",
        "spire_agent_started{host=\"node1\",trust_domain_id=\"d_test\",version=\"1_2_3\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, CountsAndTimesCallsOfTheUpstream) {
  Metrics metrics(OptionsOf());
  metrics.NoteUpstreamCall(metrics::kFetchEntries, absl::OkStatus(), absl::Milliseconds(4));
  metrics.NoteUpstreamCall(metrics::kFetchEntries, absl::OkStatus(), absl::Milliseconds(2));
  EXPECT_THAT(TextOf(metrics), HasSubstr("upstream_reachable{host=\"node1\"} 1\n"));
  metrics.NoteUpstreamCall(metrics::kFetchEntries, Unavailable("away"), absl::Milliseconds(1));
  metrics.NoteUpstreamCall(metrics::kAttestNode, PermissionDenied("no"), absl::Milliseconds(1));
  const std::string text = TextOf(metrics);
  const std::string name = "spire_agent_manager_sync_fetch_entries_updates";
  EXPECT_THAT(text, AllOf(HasSubstr(name + "{host=\"node1\",status=\"OK\"} 2\n"),
                          HasSubstr(name + "{host=\"node1\",status=\"Unavailable\"} 1\n"),
                          HasSubstr(name + "_elapsed_time_sum{host=\"node1\",status=\"OK\"} 6\n"),
                          HasSubstr("new_svid{attestor=\"join_token\",host=\"node1\",status="
                                    "\"PermissionDenied\"} 1\n"),
                          HasSubstr("upstream_reachable{host=\"node1\"} 1\n")));
  metrics.NoteUpstreamCall(metrics::kFetchSvids, absl::DeadlineExceededError("slow"), {});
  EXPECT_THAT(TextOf(metrics), HasSubstr("upstream_reachable{host=\"node1\"} 0\n"));
}

TEST(MetricsTest, TimesTheTpm) {
  Metrics metrics(OptionsOf());
  metrics.NoteTpm("sign", absl::OkStatus(), absl::Milliseconds(20));
  const std::string labels = "host=\"node1\",operation=\"sign\",status=\"OK\"";
  EXPECT_THAT(TextOf(metrics),
              AllOf(HasSubstr("tpm_operation_seconds_count{" + labels + "} 1\n"),
                    HasSubstr("tpm_operation_seconds_bucket{" + labels + ",le=\"0.01\"} 0\n"),
                    HasSubstr("tpm_operation_seconds_bucket{" + labels + ",le=\"0.025\"} 1\n")));
}

roles::Report Report() {
  roles::Report report;
  for (const auto& [code, count] : {std::pair(0, 5), std::pair(7, 2)}) {
    roles::Report::Calls& calls = *report.add_calls();
    calls.set_method("/SpiffeWorkloadAPI/FetchX509SVID");
    calls.set_code(code);
    calls.set_count(static_cast<uint64_t>(count));
    calls.set_elapsed_ms(1.5);
  }
  roles::Report::Attestations& attestations = *report.add_attestations();
  attestations.set_count(7);
  attestations.set_elapsed_ms(3);
  attestations.set_selectors(21);
  report.set_connections(7);
  report.set_open_connections(1);
  report.set_refused_connections(3);
  roles::Report::Service& service = *report.add_services();
  service.set_name("envoy.service.secret.v3.SecretDiscoveryService");
  service.set_calls(9);
  service.set_open_calls(4);
  for (uint64_t count : {1, 0, 2}) {
    report.add_first_svid_counts(count);
  }
  report.set_first_svid_seconds(0.25);
  return report;
}

TEST(MetricsTest, TellsWhatServeReports) {
  const Metrics metrics(OptionsOf());
  const roles::Report report = Report();
  const std::string text = TextOf(metrics, &report);
  for (const char* line :
       {"rpc_workload_api_fetch_x509svid{host=\"node1\",status=\"OK\"} 5\n",
        "rpc_workload_api_fetch_x509svid{host=\"node1\",status=\"PermissionDenied\"} 2\n",
        "rpc_workload_api_fetch_x509svid_elapsed_time_sum{host=\"node1\",status=\"OK\"} 1.5\n",
        "refusals_total{host=\"node1\",reason=\"no_identity\"} 2\n",
        "refusals_total{host=\"node1\",reason=\"too_many_connections\"} 3\n",
        "workload_api_workload_attestation{host=\"node1\",status=\"OK\"} 7\n",
        "workload_api_discovered_selectors_sum{host=\"node1\"} 21\n",
        "socket_connections_total{host=\"node1\"} 7\n", "socket_connections{host=\"node1\"} 1\n",
        "# TYPE spire_agent_sds_api_connection counter\n", "sds_api_connection{host=\"node1\"} 9\n",
        "sds_api_connections{host=\"node1\"} 4\n",
        "first_svid_seconds_bucket{host=\"node1\",le=\"0.0025\"} 1\n",
        "first_svid_seconds_bucket{host=\"node1\",le=\"0.005\"} 3\n",
        "first_svid_seconds_bucket{host=\"node1\",le=\"+Inf\"} 3\n",
        "first_svid_seconds_sum{host=\"node1\"} 0.25\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, AReportThatRepeatsItselfMakesNoSeriesTwice) {
  const Metrics metrics(OptionsOf());
  roles::Report report = Report();
  *report.add_calls() = report.calls(0);
  report.mutable_calls(1)->set_method("a\n# TYPE {x=\"");
  const std::string text = TextOf(metrics, &report);
  EXPECT_THAT(text, HasSubstr("fetch_x509svid{host=\"node1\",status=\"OK\"} 10\n"));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("{x=")), HasSubstr("rpc_other{")));
}

TEST(MetricsTest, AReportOfNonsenseMakesNothingThatIsNotKnown) {
  const Metrics metrics(OptionsOf());
  roles::Report report = Report();
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  for (int code : {-1, 17, std::numeric_limits<int>::max()}) {
    roles::Report::Calls& calls = *report.add_calls();
    calls.set_method("/made.Up/Method");
    calls.set_code(code);
    calls.set_count(kMost);
    calls.set_elapsed_ms(std::numeric_limits<double>::quiet_NaN());
    roles::Report::Attestations& attestations = *report.add_attestations();
    attestations.set_code(code);
    attestations.set_count(kMost);
    attestations.set_selectors(kMost);
  }
  report.add_services()->set_name("made.Up");
  report.set_connections(kMost);
  report.set_first_svid_counts(0, kMost);
  const std::string text = TextOf(metrics, &report);
  EXPECT_THAT(text, AllOf(HasSubstr("rpc_other{host=\"node1\",status=\"Unknown\"} "),
                          Not(HasSubstr("made")), Not(HasSubstr("Code("))));
}

TEST(MetricsTest, NamesAndLabelsAreAsTheOptionsSay) {
  TelemetryConfig config;
  config.metric_prefix = "other";
  config.enable_trust_domain_label = true;
  config.enable_hostname_label = false;
  config.allowed_prefixes = {"other.sync.entries"};
  config.blocked_prefixes = {"other.sync", "other.lru_cache"};
  config.blocked_labels = {"version"};
  const Metrics metrics(OptionsOf(config));
  const std::string text = TextOf(metrics);
  EXPECT_THAT(
      text, AllOf(HasSubstr("other_sync_entries_total{trust_domain=\"d_test\"} 3\n"),
                  Not(HasSubstr("sync_bundles")), Not(HasSubstr("lru_cache")),
                  Not(HasSubstr("version=")), Not(HasSubstr("node1")), HasSubstr("other_ready{")));
}

TEST(MetricsTest, SeriesThatLoseTheirLabelsAreOne) {
  TelemetryConfig config;
  config.blocked_labels = {"status", "host"};
  const Metrics metrics(OptionsOf(config));
  const roles::Report report = Report();
  EXPECT_THAT(TextOf(metrics, &report),
              AllOf(HasSubstr("rpc_workload_api_fetch_x509svid 7\n"),
                    HasSubstr("rpc_workload_api_fetch_x509svid_elapsed_time_sum 3\n")));
}

}  // namespace
}  // namespace assay
