// SPDX-License-Identifier: GPL-3.0-or-later
// A server on TCP without TLS for h2spec to examine: h2spec_server. Prints the port that it serves
// on.
#include <memory>
#include <utility>

#include "rpc/server.h"
#include "tests/conformance/serve_on_loopback.h"

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
  const Registry registry;
  Server::Options options;
  options.any_request = [](Call& call) { return std::make_unique<Page>(call); };
  return ServeOnLoopback(registry, std::move(options));
}

}  // namespace
}  // namespace assay::rpc

int main() { return assay::rpc::Serve(); }
