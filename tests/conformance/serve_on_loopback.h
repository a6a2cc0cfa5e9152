// SPDX-License-Identifier: GPL-3.0-or-later
// A server without TLS on a TCP port of 127.0.0.1 that is free, for programs that judge it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <utility>

#include "base/clock.h"
#include "rpc/listen_socket.h"
#include "rpc/server.h"

namespace assay::rpc {

// Prints the port and serves until the process ends; 1 where it cannot.
inline int ServeOnLoopback(const Registry& registry, Server::Options options) {
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
  auto server = Server::Create(**loop, registry, std::move(options));
  if (!server.ok() || !(*server)->Listen(std::move(*listener)).ok()) {
    return 1;
  }
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  (*loop)->Run();
  return 0;
}

}  // namespace assay::rpc
