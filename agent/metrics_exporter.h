// SPDX-License-Identifier: GPL-3.0-or-later
// Tells metrics over HTTP from a thread of its own, so that no TLS handshake, whose signature may
// be the TPM's, holds up the identity thread. That one makes their text. Owned by it, too.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "agent/metrics_tls.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "http/server.h"

namespace assay {

class MetricsExporter final {
 public:
  // Makes the answer, on the owner's loop, and gives it to respond there, now or later.
  using Serve = std::function<void(http::Server::Respond respond)>;
  struct Options {
    EventLoop& loop;  // The owner's.
    const Clock& clock;
    Serve serve;
    MetricsTls* tls = nullptr;  // Null: without TLS.
  };

  // Begins to serve the bound, listening socket. All must outlive the exporter.
  static absl::StatusOr<std::unique_ptr<MetricsExporter>> Start(Options options, UniqueFd listener);
  ~MetricsExporter();
  // Has its thread end; false if it does not so soon, for it waits for a TPM's signature.
  bool Stop(absl::Duration patience);
  MetricsExporter(const MetricsExporter&) = delete;
  MetricsExporter& operator=(const MetricsExporter&) = delete;

 private:
  MetricsExporter(Options options, std::shared_ptr<EventLoop> own_loop);
  void OnRequest(const http::Server::Respond& respond);

  const Options options_;
  // Whoever makes an answer may have it longer than the exporter lives.
  const std::shared_ptr<EventLoop> own_loop_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // For the owner's thread.
  std::unique_ptr<http::Server> server_;
  std::promise<void> end_;
  std::future<void> ended_ = end_.get_future();
  std::thread thread_;
};

}  // namespace assay
