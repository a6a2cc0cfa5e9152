// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics.h"

#include <absl/strings/ascii.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include "agent/metrics_families.h"
#include "agent/metrics_names.h"
#include "assay/roles.pb.h"

namespace assay {
namespace {

using Labels = std::map<std::string, std::string>;

// With the error that each may have, as spire-agent's library has them.
const prometheus::Summary::Quantiles& Quantiles() {
  static const prometheus::Summary::Quantiles kQuantiles = {
      {0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
  return kQuantiles;
}

const std::vector<double> kTpmBounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60};

Labels LabelsOf(const Metrics::Options& options) {
  Labels labels;
  if (options.config.enable_hostname_label) {
    labels.emplace("host", options.host);
  }
  if (options.config.enable_trust_domain_label) {
    labels.emplace("trust_domain", SanitizedLabel(options.trust_domain));
  }
  return labels;
}

}  // namespace

Metrics::Metrics(Options options)
    : options_(std::move(options)),
      labels_(LabelsOf(options_)),
      registry_(std::make_unique<prometheus::Registry>()) {}

Metrics::~Metrics() = default;

std::string Metrics::NameOf(std::string_view name) const {
  return fmt::format("{}_{}", options_.config.metric_prefix, name);
}

void Metrics::CountCall(const Metric& call, const absl::Status& status, absl::Duration elapsed,
                        Labels labels) {
  labels["status"] = StatusName(status.code());
  const std::string name = NameOf(call.name);
  prometheus::BuildCounter()
      .Name(name)
      .Help(std::string(call.help))
      .Labels(labels_)
      .Register(*registry_)
      .Add(labels)
      .Increment();
  prometheus::BuildSummary()
      .Name(name + "_elapsed_time")
      .Help(std::string(call.help) + " Milliseconds.")
      .Labels(labels_)
      .Register(*registry_)
      .Add(labels, Quantiles())
      .Observe(absl::ToDoubleMilliseconds(elapsed));
}

void Metrics::NoteCall(const Metric& call, const absl::Status& status, absl::Duration elapsed) {
  CountCall(call, status, elapsed, {});
}

void Metrics::NoteUpstreamCall(const Metric& call, const absl::Status& status,
                               absl::Duration elapsed) {
  // What is wrong with an answer, or with what was asked, the upstream itself has said.
  reachable_ = !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status);
  CountCall(
      call, status, elapsed,
      call.name == metrics::kAttestNode.name ? Labels{{"attestor", options_.attestor}} : Labels());
}

void Metrics::NoteTpm(std::string_view operation, const absl::Status& status,
                      absl::Duration elapsed) {
  prometheus::BuildHistogram()
      .Name(NameOf(metrics::kTpmOperation.name))
      .Help(std::string(metrics::kTpmOperation.help))
      .Labels(labels_)
      .Register(*registry_)
      .Add({{"operation", std::string(operation)}, {"status", StatusName(status.code())}},
           kTpmBounds)
      .Observe(absl::ToDoubleSeconds(elapsed));
}

std::string Metrics::Text(const Facts& facts) const {
  MetricFamilies families(options_.config.metric_prefix, labels_);
  families.AddHealth(facts.health, facts.ready);
  families.AddGauge(metrics::kReachable, reachable_ ? 1 : 0);
  families.AddGauge(metrics::kUptime, absl::ToDoubleMilliseconds(facts.uptime));
  families.AddGauge(metrics::kStarted, 1,
                    {{"trust_domain_id", SanitizedLabel(options_.trust_domain)},
                     {"version", SanitizedLabel(options_.version)}});
  if (facts.report != nullptr) {
    families.AddReport(*facts.report);
  }
  std::vector<prometheus::MetricFamily> all = registry_->Collect();
  std::move(families.all().begin(), families.all().end(), std::back_inserter(all));
  FilterMetrics(options_.config, all);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, all);
  return std::move(out).str();
}

}  // namespace assay
