// SPDX-License-Identifier: GPL-3.0-or-later
// Everything that a caller of the HTTP server can send: the input goes to a connection of its own,
// a piece at a time. The first byte is the size of the pieces.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string>

#include "base/log.h"
#include "http/server.h"

namespace {

constexpr size_t kMaxRounds = 4096;

struct Target {
  assay::SystemClock clock;
  std::unique_ptr<assay::EventLoop> loop = assay::EventLoop::Create(clock).value();
  assay::http::Server server{
      *loop,
      clock,
      {.serve = [](const assay::http::Request& request, assay::http::Server::Respond respond) {
        respond({.code = request.path == "/live" ? 200 : 404, .body = request.path});
      }}};
  sockaddr_in address{};
  socklen_t size = sizeof(address);

  Target() {
    assay::log::SetLevel(assay::log::Level::kError);
    assay::UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size);
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    listen(listener.get(), 8);
    if (!server.Listen(std::move(listener)).ok()) {
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
  // Reset when it is closed: ports must not run out.
  const linger reset{.l_onoff = 1, .l_linger = 0};
  assay::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  connect(fd.get(), reinterpret_cast<sockaddr*>(&target.address), target.size);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t piece = data[0] == 0 ? size : data[0];
  char answer[4096];
  for (size_t at = 0, round = 0; at < bytes.size() && round < kMaxRounds; at += piece, ++round) {
    const std::string_view part = bytes.substr(at, piece);
    if (send(fd.get(), part.data(), part.size(), MSG_NOSIGNAL) < 0) {
      break;
    }
    target.loop->RunOnce(absl::ZeroDuration());
    if (recv(fd.get(), answer, sizeof(answer), 0) == 0) {
      break;
    }
  }
  fd.Reset();
  for (int i = 0; i < 8 && target.server.connections() > 0; ++i) {
    target.loop->RunOnce(absl::ZeroDuration());
  }
  if (target.server.connections() > 0) {
    std::abort();
  }
  return 0;
}
