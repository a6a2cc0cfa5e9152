// SPDX-License-Identifier: GPL-3.0-or-later
// A server on TCP without TLS for h2spec to examine: rpc_h2spec_server PORT. Not installed.
#include <cstdio>
#include <cstdlib>

#include "rpc/listen_socket.h"
#include "rpc/server.h"

namespace assay::rpc {
namespace {

// Answers when the request is complete, as most HTTP servers do.
class Page final : public CallHandler {
 public:
  explicit Page(Call& call) : call_(call) {}
  void OnMessage(std::string_view) override {}
  void OnHalfClose() override {
    call_.Send(std::make_shared<const Frame>("it serves"));
    call_.Finish(absl::OkStatus());
  }

 private:
  Call& call_;
};

int Serve(uint16_t port) {
  const SystemClock clock;
  auto loop = EventLoop::Create(clock);
  auto listener = ListenTcp("127.0.0.1", port);
  if (!loop.ok() || !listener.ok()) {
    std::fprintf(stderr, "%s\n",
                 (loop.ok() ? listener.status() : loop.status()).ToString().c_str());
    return 1;
  }
  Registry registry;
  Server::Options options;
  options.any_request = [](Call& call) { return std::make_unique<Page>(call); };
  auto server = Server::Create(**loop, registry, std::move(options));
  if (!server.ok() || !(*server)->Listen(std::move(*listener)).ok()) {
    return 1;
  }
  (*loop)->Run();
  return 0;
}

}  // namespace
}  // namespace assay::rpc

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: rpc_h2spec_server PORT\n");
    return 2;
  }
  return assay::rpc::Serve(static_cast<uint16_t>(std::atoi(argv[1])));
}
