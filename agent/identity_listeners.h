// SPDX-License-Identifier: GPL-3.0-or-later
// What the identity role tells of the agent over HTTP. It tells no secret, and takes nothing from
// its callers but a path. Owned by the identity thread.
#pragma once

#include <memory>
#include <string>

#include "agent/config.h"
#include "agent/identity_core.h"
#include "agent/metrics.h"
#include "agent/metrics_exporter.h"
#include "agent/metrics_tls.h"
#include "agent/roles.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "http/server.h"

namespace assay {

class IdentityListeners final {
 public:
  // All must outlive it.
  struct Surroundings {
    EventLoop& loop;
    const Clock& clock;
    IdentityCore& core;
    const Metrics& metrics;
  };
  IdentityListeners(const Surroundings& surroundings, const AgentConfig& config)
      : around_(surroundings),
        started_(surroundings.clock.SinceBoot()),
        health_(config.health),
        prometheus_(config.telemetry.prometheus),
        tls_(prometheus_.tls, surroundings.clock) {}

  // What TLS is spoken and judged by.
  MetricsTls& tls() { return tls_; }
  // Ends what runs on threads of its own; false if it would have to be waited for.
  bool Stop() { return exporter_ == nullptr || exporter_->Stop(kStopPatience); }
  // Serves on a bound, listening socket of one of the role's endpoints.
  absl::Status Listen(roles::Endpoint endpoint, UniqueFd listener);

 private:
  static constexpr absl::Duration kStopPatience = absl::Milliseconds(100);

  absl::Status ListenForMetrics(UniqueFd listener);
  void ServeMetrics(const http::Server::Respond& respond);
  void ServeHealth(const http::Request& request, const http::Server::Respond& respond);

  const Surroundings around_;
  const absl::Duration started_;
  const HealthConfig health_;
  Words health_words_ = Words::kOurs;  // Of errors, to callers.
  const PrometheusConfig prometheus_;
  std::unique_ptr<http::Server> health_server_;
  std::string metrics_text_;
  absl::Duration metrics_made_;
  MetricsTls tls_;
  std::unique_ptr<MetricsExporter> exporter_;
};

}  // namespace assay
