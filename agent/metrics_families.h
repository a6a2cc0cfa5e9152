// SPDX-License-Identifier: GPL-3.0-or-later
// Metrics that are made of facts when they are asked for. Not thread-safe.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/identity_health.h"
#include "agent/metrics.h"

namespace assay {

class MetricFamilies final {
 public:
  using Labels = std::map<std::string, std::string>;
  // Each metric has these labels and those of its own.
  MetricFamilies(std::string prefix, Labels labels)
      : prefix_(std::move(prefix)), labels_(std::move(labels)) {}

  void AddGauge(const Metric& metric, double value, const Labels& labels = {});
  void AddHealth(const IdentityHealth& health, bool ready);
  // What it says is believed as far as numbers go: no other texts than those that are known, and no
  // other codes, become names and labels.
  void AddReport(const roles::Report& report);

  std::vector<prometheus::MetricFamily>& all() { return families_; }

 private:
  prometheus::ClientMetric& Add(const std::string& name, std::string_view help,
                                prometheus::MetricType type, const Labels& labels);
  void AddCounter(const Metric& metric, double value, const Labels& labels = {});
  struct Calls {
    absl::StatusCode code = absl::StatusCode::kOk;
    uint64_t count = 0;
    double elapsed_ms = 0;
  };
  void AddCalls(const Metric& metric, const Calls& calls);
  void AddAttestations(const roles::Report& report);
  void AddConnections(const roles::Report& report);
  void AddFirstSvid(const roles::Report& report);

  const std::string prefix_;
  const Labels labels_;
  std::vector<prometheus::MetricFamily> families_;
};

// Leaves out what the options say; what is then of the same labels becomes one.
void FilterMetrics(const TelemetryConfig& config, std::vector<prometheus::MetricFamily>& families);

}  // namespace assay
