// SPDX-License-Identifier: GPL-3.0-or-later
// Everything a caller can send: the input goes to a connection of its own, a piece at a time. The
// first byte chooses the size of the pieces and whether the preface goes before.
#include <google/protobuf/wrappers.pb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>

#include "base/log.h"
#include "rpc/server.h"

namespace {

using assay::rpc::Call;
using assay::rpc::CallHandler;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kMaxRounds = 4096;

// Answers every message at length, and ends with the caller.
class Echo final : public CallHandler {
 public:
  explicit Echo(Call& call) : call_(call) {}
  void OnMessage(std::string_view bytes) override {
    call_.Send(std::make_shared<const assay::rpc::Frame>(bytes));
    if (bytes.size() > 100) {
      call_.Finish(assay::NotFound("{}", bytes), bytes);
    }
  }
  void OnHalfClose() override { call_.Finish(absl::OkStatus()); }

 private:
  Call& call_;
};

struct Target {
  assay::SystemClock clock;
  std::unique_ptr<assay::EventLoop> loop = assay::EventLoop::Create(clock).value();
  assay::rpc::Registry registry;
  std::unique_ptr<assay::rpc::Server> server;
  sockaddr_un address{};
  socklen_t size = sizeof(sa_family_t);

  Target() {
    assay::log::SetLevel(assay::log::Level::kError);
    registry.Add("/E/S", assay::rpc::Unary<google::protobuf::StringValue>(
                             [](Call&, const google::protobuf::StringValue& request,
                                const assay::rpc::Responder& r) { r.Reply(request); }));
    registry.Add("/E/C", [](Call& call) { return std::make_unique<Echo>(call); });
    assay::rpc::Limits limits;
    limits.max_pending_bytes = 1 << 20;
    server = assay::rpc::Server::Create(*loop, registry, {.limits = limits}).value();
    // A name of the kernel's choice, which no file system sees.
    assay::UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address.sun_family = AF_UNIX;
    bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size);
    size = sizeof(address);
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    listen(listener.get(), 8);
    if (!server->Listen(std::move(listener)).ok()) {
      std::abort();
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Target target;
  if (size == 0) {
    return 0;
  }
  assay::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&target.address), target.size) != 0) {
    std::abort();
  }
  std::string bytes((data[0] & 1) != 0 ? kPreface : "");
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t piece = (data[0] & 2) != 0 ? bytes.size() : 1 + (data[0] >> 2);
  char answer[4096];
  for (size_t at = 0, round = 0; at < bytes.size() && round < kMaxRounds; at += piece, ++round) {
    const std::string_view part = std::string_view(bytes).substr(at, piece);
    if (send(fd.get(), part.data(), part.size(), MSG_NOSIGNAL) < 0) {
      break;
    }
    target.loop->RunOnce(absl::ZeroDuration());
    if (recv(fd.get(), answer, sizeof(answer), 0) == 0) {
      break;
    }
  }
  fd.Reset();
  for (int i = 0; i < 8 && target.server->connections() > 0; ++i) {
    target.loop->RunOnce(absl::ZeroDuration());
  }
  if (target.server->connections() > 0) {
    std::abort();
  }
  return 0;
}
