// SPDX-License-Identifier: GPL-3.0-or-later
// A server on TCP without TLS for h2spec to examine: h2spec_server. Prints the port that it serves
// on.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>

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

int Serve() {
  const SystemClock clock;
  auto loop = EventLoop::Create(clock);
  auto listener = ListenTcp("127.0.0.1", 0);
  if (!loop.ok() || !listener.ok()) {
    std::fputs("cannot listen\n", stderr);
    return 1;
  }
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  getsockname(listener->get(), reinterpret_cast<sockaddr*>(&address), &size);
  const Registry registry;
  Server::Options options;
  options.any_request = [](Call& call) { return std::make_unique<Page>(call); };
  auto server = Server::Create(**loop, registry, std::move(options));
  if (!server.ok() || !(*server)->Listen(std::move(*listener)).ok()) {
    return 1;
  }
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  (*loop)->Run();
  return 0;
}

}  // namespace
}  // namespace assay::rpc

int main() { return assay::rpc::Serve(); }
