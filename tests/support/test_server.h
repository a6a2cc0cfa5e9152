// SPDX-License-Identifier: GPL-3.0-or-later
// A gRPC server on a Unix socket of a test's own, with a clock that the test moves. The server's
// loop runs in the test's thread, inside the client's waits.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "base/event_loop.h"
#include "rpc/listen_socket.h"
#include "rpc/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/http2_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {

class TestServer final {
 public:
  TestServer() : loop_(EventLoop::Create(clock).value()) {}

  // Starts to serve what is in the registry by then; more may be added later.
  void Start(rpc::Server::Options options = {}) {
    auto made = rpc::Server::Create(*loop_, registry, std::move(options));
    ASSERT_OK(made);
    server_ = std::move(*made);
    auto listener = rpc::ListenUnix(path(), 0600);
    ASSERT_OK(listener);
    ASSERT_OK(server_->Listen(std::move(*listener)));
  }
  void Stop() { server_.reset(); }

  std::string path() const { return folder_.path() + "/socket"; }
  rpc::Server& server() { return *server_; }
  EventLoop& loop() { return *loop_; }
  Http2Client::Pump pump() {
    return [this] { loop_->RunOnce(absl::ZeroDuration()); };
  }
  std::unique_ptr<Http2Client> Connect(Http2Client::Fields settings = {}) {
    return std::make_unique<Http2Client>(ConnectUnix(path()), pump(), std::move(settings));
  }

  FakeClock clock;
  rpc::Registry registry;

 private:
  TempFolder folder_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace assay
