// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics_families.h"

#include <algorithm>
#include <limits>

#include "agent/metrics_bounds.h"
#include "agent/metrics_names.h"
#include "assay/roles.pb.h"

namespace assay {
namespace {

using prometheus::MetricType;

// No server has more methods times codes.
constexpr int kMostCalls = 500;

// Of codes with which callers are turned away, as labels.
std::string_view RefusalReason(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kPermissionDenied:
      return "no_identity";
    case absl::StatusCode::kUnavailable:
      return "unavailable";
    case absl::StatusCode::kResourceExhausted:
      return "limit";
    case absl::StatusCode::kInvalidArgument:
      return "invalid_request";
    case absl::StatusCode::kUnimplemented:
      return "not_served";
    default:
      return "";
  }
}

// gRPC's, whatever was told.
absl::StatusCode CodeOf(int number) {
  return number >= 0 && number <= static_cast<int>(absl::StatusCode::kUnauthenticated)
             ? static_cast<absl::StatusCode>(number)
             : absl::StatusCode::kUnknown;
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The length of the longest prefix that fits, with one added; 0: none does.
size_t LongestFit(const std::vector<std::string>& prefixes, const std::string& name) {
  size_t longest = 0;
  for (std::string prefix : prefixes) {
    std::replace(prefix.begin(), prefix.end(), '.', '_');
    if (name.starts_with(prefix)) {
      longest = std::max(longest, prefix.size() + 1);
    }
  }
  return longest;
}

}  // namespace

prometheus::ClientMetric& MetricFamilies::Add(const std::string& name, std::string_view help,
                                              MetricType type, const Labels& labels) {
  const std::string full = fmt::format("{}_{}", prefix_, name);
  auto at = std::find_if(families_.begin(), families_.end(),
                         [&full](const auto& family) { return family.name == full; });
  if (at == families_.end()) {
    at =
        families_.insert(at, {.name = full, .help = std::string(help), .type = type, .metric = {}});
  }
  prometheus::ClientMetric& metric = at->metric.emplace_back();
  for (const auto* some : {&labels_, &labels}) {
    for (const auto& [label, value] : *some) {
      metric.label.push_back({label, value});
    }
  }
  return metric;
}

void MetricFamilies::AddGauge(const Metric& metric, double value, const Labels& labels) {
  Add(std::string(metric.name), metric.help, MetricType::Gauge, labels).gauge.value = value;
}

void MetricFamilies::AddCounter(const Metric& metric, double value, const Labels& labels) {
  Add(std::string(metric.name), metric.help, MetricType::Counter, labels).counter.value = value;
}

void MetricFamilies::AddHealth(const IdentityHealth& health, bool ready) {
  const auto number = [](auto count) { return static_cast<double>(count); };
  const auto seconds = [](absl::Time time) {
    return static_cast<double>(absl::ToUnixSeconds(time));
  };
  AddGauge(metrics::kReady, ready ? 1 : 0);
  AddGauge(metrics::kEntriesTotal, number(health.entries));
  AddGauge(metrics::kBundlesTotal, number(health.bundles));
  AddGauge(metrics::kRecordMapSize, number(health.entries), {{"svid_type", "X509"}});
  AddGauge(metrics::kSvidMapSize, number(health.svids), {{"svid_type", "X509"}});
  AddGauge(metrics::kJwtCacheSize, number(health.jwt_svids));
  AddGauge(metrics::kExpired, number(health.expired_svids));
  AddGauge(metrics::kRefusedSvids, number(health.refused_svids));
  AddCounter(metrics::kEntriesAdded, number(health.entries_added));
  AddCounter(metrics::kEntriesUpdated, number(health.entries_updated));
  AddCounter(metrics::kEntriesRemoved, number(health.entries_removed));
  if (health.last_sync.has_value()) {
    AddGauge(metrics::kLastSync, seconds(*health.last_sync));
  }
  if (health.agent_expires.has_value()) {
    AddGauge(metrics::kAgentExpiry, seconds(*health.agent_expires));
  }
  if (health.earliest_expiry.has_value()) {
    AddGauge(metrics::kEarliestExpiry, seconds(*health.earliest_expiry));
  }
  if (const auto budget = health.OutageBudget(); budget.has_value()) {
    AddGauge(metrics::kOutageBudget, absl::ToDoubleSeconds(*budget));
  }
}

void MetricFamilies::AddCalls(const Metric& metric, const Calls& calls) {
  const Labels labels = {{"status", StatusName(calls.code)}};
  AddCounter(metric, static_cast<double>(calls.count), labels);
  auto& summary = Add(fmt::format("{}_elapsed_time", metric.name),
                      fmt::format("{} Milliseconds.", metric.help), MetricType::Summary, labels)
                      .summary;
  summary.sample_count = calls.count;
  summary.sample_sum = calls.elapsed_ms;
}

void MetricFamilies::AddReport(const roles::Report& report) {
  std::map<std::string_view, uint64_t> refusals;
  for (int i = 0; i < std::min(report.calls_size(), kMostCalls); ++i) {
    const roles::Report::Calls& calls = report.calls(i);
    const absl::StatusCode code = CodeOf(calls.code());
    const std::string name = fmt::format("{}_{}", metrics::kRpc.name, MethodName(calls.method()));
    AddCalls({name, metrics::kRpc.help},
             {.code = code, .count = calls.count(), .elapsed_ms = calls.elapsed_ms()});
    refusals[RefusalReason(code)] += calls.count();
  }
  refusals.erase("");
  refusals["too_many_connections"] = report.refused_connections();
  for (const auto& [reason, count] : refusals) {
    AddCounter(metrics::kRefusals, static_cast<double>(count), {{"reason", std::string(reason)}});
  }
  AddAttestations(report);
  AddConnections(report);
  AddFirstSvid(report);
}

void MetricFamilies::AddAttestations(const roles::Report& report) {
  uint64_t attestations = 0, selectors = 0;
  for (int i = 0; i < std::min(report.attestations_size(), kMostCalls); ++i) {
    const roles::Report::Attestations& some = report.attestations(i);
    AddCalls(metrics::kAttestWorkload,
             {.code = CodeOf(some.code()), .count = some.count(), .elapsed_ms = some.elapsed_ms()});
    attestations += some.count();
    selectors += some.selectors();
  }
  auto& discovered = Add(std::string(metrics::kDiscoveredSelectors.name),
                         metrics::kDiscoveredSelectors.help, MetricType::Summary, {})
                         .summary;
  discovered.sample_count = attestations;
  discovered.sample_sum = static_cast<double>(selectors);
}

void MetricFamilies::AddConnections(const roles::Report& report) {
  AddCounter(metrics::kConnectionsTotal, static_cast<double>(report.connections()));
  AddGauge(metrics::kOpenConnections, report.open_connections());
  for (int i = 0; i < std::min(report.services_size(), kMostCalls); ++i) {
    const roles::Report::Service& service = report.services(i);
    const std::string_view api = ApiName(service.name());
    if (api.empty()) {
      continue;
    }
    AddCounter({fmt::format("{}_{}", api, metrics::kConnection.name), metrics::kConnection.help},
               static_cast<double>(service.calls()));
    AddGauge({fmt::format("{}_{}", api, metrics::kConnections.name), metrics::kConnections.help},
             service.open_calls());
  }
}

void MetricFamilies::AddFirstSvid(const roles::Report& report) {
  auto& histogram = Add(std::string(metrics::kFirstSvid.name), metrics::kFirstSvid.help,
                        MetricType::Histogram, {})
                        .histogram;
  constexpr size_t kBounds = kFirstSvidBounds.size();
  for (size_t i = 0; i <= kBounds; ++i) {
    const int place = static_cast<int>(i);
    histogram.sample_count +=
        place < report.first_svid_counts_size() ? report.first_svid_counts(place) : 0;
    histogram.bucket.push_back({.cumulative_count = histogram.sample_count,
                                .upper_bound = i < kBounds
                                                   ? kFirstSvidBounds[i]
                                                   : std::numeric_limits<double>::infinity()});
  }
  histogram.sample_sum = report.first_svid_seconds();
}

namespace {

// Series that have the same labels are one: Prometheus takes none of two.
void Merge(prometheus::ClientMetric& into, const prometheus::ClientMetric& other) {
  into.counter.value += other.counter.value;
  into.gauge.value = other.gauge.value;
  into.summary.sample_count += other.summary.sample_count;
  into.summary.sample_sum += other.summary.sample_sum;
  into.histogram.sample_count += other.histogram.sample_count;
  into.histogram.sample_sum += other.histogram.sample_sum;
  const size_t buckets = std::min(into.histogram.bucket.size(), other.histogram.bucket.size());
  for (size_t i = 0; i < buckets; ++i) {
    into.histogram.bucket[i].cumulative_count += other.histogram.bucket[i].cumulative_count;
  }
}

void MergeEqual(std::vector<prometheus::ClientMetric>& metrics) {
  std::vector<prometheus::ClientMetric> merged;
  for (prometheus::ClientMetric& metric : metrics) {
    std::sort(metric.label.begin(), metric.label.end());
    const auto at = std::find_if(merged.begin(), merged.end(), [&metric](const auto& other) {
      return other.label == metric.label;
    });
    if (at == merged.end()) {
      merged.push_back(std::move(metric));
    } else {
      Merge(*at, metric);
    }
  }
  metrics = std::move(merged);
}

}  // namespace

void FilterMetrics(const TelemetryConfig& config, std::vector<prometheus::MetricFamily>& families) {
  std::erase_if(families, [&config](const prometheus::MetricFamily& family) {
    return LongestFit(config.blocked_prefixes, family.name) >
           LongestFit(config.allowed_prefixes, family.name);
  });
  for (prometheus::MetricFamily& family : families) {
    for (prometheus::ClientMetric& metric : family.metric) {
      std::erase_if(metric.label, [&config](const prometheus::ClientMetric::Label& label) {
        return Contains(config.blocked_labels, label.name) ||
               (!config.allowed_labels.empty() && !Contains(config.allowed_labels, label.name));
      });
    }
    MergeEqual(family.metric);
  }
}

}  // namespace assay
