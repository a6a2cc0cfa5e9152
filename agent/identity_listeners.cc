// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_listeners.h"

#include "agent/identity_health.h"
#include "agent/metrics.h"
#include "assay/roles.pb.h"
#include "base/log.h"
#include "rpc/listen_socket.h"

namespace assay {
namespace {

// Go's words, which spire-agent answers with.
http::Answer NoSuchPage() { return {.code = 404, .body = "404 page not found\n"}; }

}  // namespace

absl::Status IdentityListeners::Listen(roles::Endpoint endpoint, UniqueFd listener) {
  if (endpoint == roles::METRICS) {
    return ListenForMetrics(std::move(listener));
  }
  if (endpoint != roles::HEALTH) {
    return InvalidArgument("the identity role does not know endpoint {}",
                           static_cast<int>(endpoint));
  }
  if (rpc::IsLocal(listener.get())) {
    health_words_ = Words::kAll;
  } else {
    log::Warn("Health is told to whoever reaches its port from other machines",
              {{"host", health_.bind_address}, {"subsystem_name", "health"}});
  }
  health_server_ = std::make_unique<http::Server>(
      around_.loop, around_.clock,
      http::Server::Options{
          .serve = [this](const http::Request& request,
                          const http::Server::Respond& respond) { ServeHealth(request, respond); },
          .keep_alive = false});
  log::Info("Serving health checks",
            {{"address", fmt::format("{}:{}", health_.bind_address, health_.bind_port)},
             {"subsystem_name", "health"}});
  return health_server_->Listen(std::move(listener));
}

absl::Status IdentityListeners::ListenForMetrics(UniqueFd listener) {
  if (!(prometheus_.tls.enabled && tls_.needs_client_certificate()) &&
      !rpc::IsLocal(listener.get())) {
    log::Warn("Metrics are told to whoever reaches their port from other machines",
              {{"host", prometheus_.host}, {"subsystem_name", "telemetry"}});
  }
  log::Info(
      "Starting prometheus exporter",
      {{"host", prometheus_.host}, {"port", prometheus_.port}, {"subsystem_name", "telemetry"}});
  ASSIGN_OR_RETURN(exporter_, MetricsExporter::Start(
                                  {.loop = around_.loop,
                                   .clock = around_.clock,
                                   .serve = [this](const auto& respond) { ServeMetrics(respond); },
                                   .tls = prometheus_.tls.enabled ? &tls_ : nullptr},
                                  std::move(listener)));
  return absl::OkStatus();
}

// At any path, as spire-agent does; however often they are asked for, made a few times a second.
void IdentityListeners::ServeMetrics(const http::Server::Respond& respond) {
  around_.core.reports().Get([this, respond](const roles::Report* report) {
    const absl::Duration now = around_.clock.SinceBoot();
    if (metrics_text_.empty() || now - metrics_made_ >= ServeReports::kFreshFor) {
      const IdentityHealth health = around_.core.Health();
      metrics_made_ = now;
      metrics_text_ = around_.metrics.Text(
          {.health = health,
           .report = report,
           .ready = health.Reasons().empty() && !around_.core.reports().silence().has_value(),
           .uptime = now - started_});
    }
    respond({.content_type = std::string(Metrics::kContentType), .body = metrics_text_});
  });
}

void IdentityListeners::ServeHealth(const http::Request& request,
                                    const http::Server::Respond& respond) {
  const bool live = request.path == health_.live_path;
  if (!live && request.path != health_.ready_path) {
    respond(NoSuchPage());
    return;
  }
  around_.core.reports().Get([this, live, respond](const roles::Report* /*report*/) {
    const ServeSilence silence = around_.core.reports().silence();
    const HealthAnswer answer =
        live ? LiveAnswer(silence) : ReadyAnswer(around_.core.Health(), silence, health_words_);
    respond(
        {.code = answer.good ? 200 : 500, .content_type = "application/json", .body = answer.json});
  });
}

}  // namespace assay
