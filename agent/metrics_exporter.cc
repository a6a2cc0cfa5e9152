// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics_exporter.h"

#include <utility>

namespace assay {

absl::StatusOr<std::unique_ptr<MetricsExporter>> MetricsExporter::Start(Options options,
                                                                        UniqueFd listener) {
  ASSIGN_OR_RETURN(std::shared_ptr<EventLoop> own_loop, EventLoop::Create(options.clock));
  std::unique_ptr<MetricsExporter> exporter(
      new MetricsExporter(std::move(options), std::move(own_loop)));
  RETURN_IF_ERROR(exporter->server_->Listen(std::move(listener)));
  if (MetricsTls* const tls = exporter->options_.tls; tls != nullptr) {
    // What is wrong with its files is told before the first caller comes.
    exporter->own_loop_->Post([tls] { tls->Options().IgnoreError(); });
  }
  exporter->thread_ = std::thread([self = exporter.get()] {
    self->own_loop_->Run();
    self->end_.set_value();
  });
  return exporter;
}

MetricsExporter::MetricsExporter(Options options, std::shared_ptr<EventLoop> own_loop)
    : options_(std::move(options)), own_loop_(std::move(own_loop)) {
  http::Server::Options server;
  server.serve = [this](const http::Request& /*request*/, const http::Server::Respond& respond) {
    OnRequest(respond);
  };
  if (options_.tls != nullptr) {
    server.tls = [tls = options_.tls] { return tls->Options(); };
    server.needs_client_certificate = options_.tls->needs_client_certificate();
  }
  server_ = std::make_unique<http::Server>(*own_loop_, options_.clock, std::move(server));
}

MetricsExporter::~MetricsExporter() {
  *alive_ = false;
  if (thread_.joinable()) {
    own_loop_->Stop();
    thread_.join();
  }
}

bool MetricsExporter::Stop(absl::Duration patience) {
  own_loop_->Stop();
  return ended_.wait_for(absl::ToChronoMilliseconds(patience)) == std::future_status::ready;
}

// On its own thread, and from there to the owner's and back.
void MetricsExporter::OnRequest(const http::Server::Respond& respond) {
  options_.loop.Post([this, alive = alive_, own_loop = own_loop_, respond] {
    if (!*alive) {
      return;
    }
    options_.serve([own_loop, respond](http::Answer answer) {
      own_loop->Post(
          [respond, answer = std::move(answer)]() mutable { respond(std::move(answer)); });
    });
  });
}

}  // namespace assay
