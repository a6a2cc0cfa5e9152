// SPDX-License-Identifier: GPL-3.0-or-later
// An upstream for tests: a real gRPC server on TLS with a thread of its own, whose methods answer
// what a test sets. Handlers run on that thread; what they share with the test is the test's to
// guard, or is read when no call is under way.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "crypto/tls.h"
#include "rpc/listen_socket.h"
#include "rpc/server.h"
#include "tests/support/test_ca.h"

namespace assay {

// What a handler of a stream does upon a message.
template <typename Response>
struct StreamAnswer {
  std::vector<Response> messages;
  std::optional<absl::Status> finish = {};
};

class FakeUpstream final {
 public:
  // Its certificate is spiffe://TD/spire/server of this authority; it verifies callers by it, too.
  explicit FakeUpstream(const TestCa& ca, std::string address = "127.0.0.1")
      : address_(std::move(address)),
        bundle_(ca.Bundle()),
        identity_(IdentityOf(ca, ca.trust_domain().IdString() + "/spire/server")),
        loop_(EventLoop::Create(clock_).value()) {}
  ~FakeUpstream() {
    if (thread_.joinable()) {
      OnLoop([this] {
        retired_.clear();
        server_.reset();
      });
      loop_->Stop();
      thread_.join();
    }
  }

  // Presents another certificate from now on.
  void UseIdentity(const TestCa& ca, const std::string& id) { identity_ = IdentityOf(ca, id); }

  // Answers a unary method; the call says who asks.
  template <typename Request, typename Response>
  void On(std::string method,
          std::function<absl::StatusOr<Response>(const Request&, rpc::Call&)> answer) {
    registry_.Add(std::move(method),
                  rpc::Unary<Request>(
                      [this, answer = std::move(answer)](rpc::Call& call, const Request& request,
                                                         const rpc::Responder& responder) {
                        Note(call);
                        const absl::StatusOr<Response> response = answer(request, call);
                        if (response.ok()) {
                          responder.Reply(*response);
                        } else {
                          responder.Fail(response.status(), details_);
                        }
                      }));
  }

  // Answers each message of a stream, and ends the call when the caller half-closes.
  template <typename Request, typename Response>
  void OnStream(std::string method, std::function<StreamAnswer<Response>(const Request&)> answer) {
    registry_.Add(std::move(method), [this, answer = std::move(answer)](rpc::Call& call) {
      return std::make_unique<StreamHandler<Request, Response>>(*this, call, answer);
    });
  }

  // Takes a method's calls, and never answers.
  void OnSilent(std::string method) {
    registry_.Add(std::move(method), [](rpc::Call&) { return std::make_unique<SilentHandler>(); });
  }

  // What grpc-status-details-bin carries in failures.
  void SetDetails(std::string details) { details_ = std::move(details); }

  // Starts to serve; the methods are set by then. Port 0: any.
  void Start(uint16_t port = 0) {
    listener_ = rpc::ListenTcp(address_, port).value();
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    Serve();
    thread_ = std::thread([this] { loop_->Run(); });
  }
  uint16_t port() const { return port_; }

  // Closes every connection, and serves again on the same port.
  void DropConnections() {
    OnLoop([this] {
      retired_.clear();
      server_.reset();
      Serve();
    });
  }
  // Tells every connection to go away, and serves new ones: those that wait to be accepted, too.
  void SendGoaway() {
    OnLoop([this] {
      std::erase_if(retired_, [](const auto& server) { return server->connections() == 0; });
      retired_.push_back(std::move(server_));
      retired_.back()->Drain();
      Serve();
    });
  }

  // The connection of each call so far, in order, and the SPIFFE ID of its caller, "" if anonymous.
  std::vector<uint64_t> connections() const {
    MutexLock lock(mutex_);
    return connections_;
  }
  std::vector<std::string> callers() const {
    MutexLock lock(mutex_);
    return callers_;
  }

 private:
  template <typename Request, typename Response>
  class StreamHandler final : public rpc::CallHandler {
   public:
    StreamHandler(FakeUpstream& upstream, rpc::Call& call,
                  std::function<StreamAnswer<Response>(const Request&)> answer)
        : upstream_(upstream), call_(call), answer_(std::move(answer)) {
      upstream_.Note(call);
    }
    void OnMessage(std::string_view bytes) override {
      Request request;
      request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      StreamAnswer<Response> answer = answer_(request);
      for (const Response& message : answer.messages) {
        call_.Send(std::make_shared<const rpc::Frame>(message));
      }
      if (answer.finish.has_value()) {
        call_.Finish(*answer.finish, upstream_.details_);
      }
    }
    void OnHalfClose() override { call_.Finish(absl::OkStatus()); }

   private:
    FakeUpstream& upstream_;
    rpc::Call& call_;
    const std::function<StreamAnswer<Response>(const Request&)> answer_;
  };

  class SilentHandler final : public rpc::CallHandler {
   public:
    void OnMessage(std::string_view) override {}
    void OnHalfClose() override {}
  };

  static crypto::TlsIdentity IdentityOf(const TestCa& ca, const std::string& id) {
    const X509Svid svid = ca.IssueSvid(TestId(id));
    return {.chain = svid.chain, .signer = svid.key};
  }

  void OnLoop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  void Note(rpc::Call& call) {
    const auto& chain = call.peer().tls_chain;
    MutexLock lock(mutex_);
    connections_.push_back(call.peer().connection_id);
    callers_.push_back(chain.empty() ? "" : chain.front().uris().front());
  }

  void Serve() {
    rpc::Server::Options options;
    options.tls = [this]() -> absl::StatusOr<crypto::TlsConnection::ServerOptions> {
      return crypto::TlsConnection::ServerOptions{
          .identity = identity_,
          .verify_client = [this](const std::vector<crypto::Certificate>& chain) {
            return VerifyX509Svid(chain, bundle_, clock_.Now()).status();
          }};
    };
    server_ = rpc::Server::Create(*loop_, registry_, std::move(options)).value();
    if (!server_->Listen(UniqueFd(fcntl(listener_.get(), F_DUPFD_CLOEXEC, 0))).ok()) {
      std::abort();
    }
  }

  const std::string address_;
  SystemClock clock_;
  TrustBundle bundle_;
  crypto::TlsIdentity identity_;
  std::string details_;
  std::unique_ptr<EventLoop> loop_;
  rpc::Registry registry_;
  UniqueFd listener_;
  std::unique_ptr<rpc::Server> server_;
  std::vector<std::unique_ptr<rpc::Server>> retired_;
  uint16_t port_ = 0;
  std::thread thread_;
  mutable Mutex mutex_;
  std::vector<uint64_t> connections_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> callers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
