// SPDX-License-Identifier: GPL-3.0-or-later
// A plugin's gRPC server for tests, without its process: methods answer what a test sets, on a
// thread of their own, and what is shared with the test is behind the server's mutex.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/event_loop.h"
#include "plugins/handshake.h"
#include "rpc/listen_socket.h"
#include "rpc/server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {

class FakePluginServer final {
 public:
  FakePluginServer() : loop_(EventLoop::Create(clock_).value()) {}
  ~FakePluginServer() { Stop(); }

  template <typename Request, typename Response>
  void On(std::string method, std::function<absl::StatusOr<Response>(const Request&)> answer) {
    registry_.Add(std::move(method), rpc::Unary<Request>([answer = std::move(answer)](
                                                             rpc::Call&, const Request& request,
                                                             const rpc::Responder& responder) {
                    const absl::StatusOr<Response> response = answer(request);
                    if (response.ok()) {
                      responder.Reply(*response);
                    } else {
                      responder.Fail(response.status());
                    }
                  }));
  }
  // A method that never answers.
  void Hang(std::string method) {
    OnStream(std::move(method), [](rpc::Call&, std::string_view) {});
  }
  // Gets each message of a stream; the first time without one, when the call begins.
  void OnStream(std::string method,
                std::function<void(rpc::Call& call, std::string_view bytes)> on_message,
                std::function<void(rpc::Call& call)> on_begin = {}) {
    registry_.Add(std::move(method), [on_message, on_begin](rpc::Call& call) {
      if (on_begin) {
        on_begin(call);
      }
      return std::make_unique<Stream>(call, on_message);
    });
  }

  // Starts to serve; the methods are set by then.
  void Start() {
    server_ = *rpc::Server::Create(*loop_, registry_, {});
    EXPECT_OK(server_->Listen(*rpc::ListenUnix(path(), 0600)));
    thread_ = std::thread([this] { loop_->Run(); });
  }
  // Closes every connection, and serves no more.
  void Stop() {
    if (!thread_.joinable()) {
      return;
    }
    std::promise<void> done;
    loop_->Post([&] {
      server_.reset();
      done.set_value();
    });
    done.get_future().wait();
    loop_->Stop();
    thread_.join();
  }

  std::string path() const { return folder_.path() + "/plugin"; }
  UniqueFd Connect() const { return *ConnectTo(*ParseHandshake("1|1|unix|" + path() + "|grpc|")); }

 private:
  class Stream final : public rpc::CallHandler {
   public:
    Stream(rpc::Call& call, std::function<void(rpc::Call&, std::string_view)> on_message)
        : call_(call), on_message_(std::move(on_message)) {}
    void OnMessage(std::string_view bytes) override { on_message_(call_, bytes); }

   private:
    rpc::Call& call_;
    const std::function<void(rpc::Call&, std::string_view)> on_message_;
  };

  const TempFolder folder_;
  const SystemClock clock_;
  rpc::Registry registry_;
  const std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<rpc::Server> server_;
  std::thread thread_;
};

}  // namespace assay
