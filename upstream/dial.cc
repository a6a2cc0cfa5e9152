// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

namespace assay {
namespace {

constexpr int kKeepaliveIdleSeconds = 30;
constexpr int kKeepaliveIntervalSeconds = 15;
constexpr int kKeepaliveProbes = 4;
constexpr int kUnackedMilliseconds = 90'000;

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

absl::StatusOr<Addresses> Resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return Unavailable("resolving {}: {}", Quoted(host), gai_strerror(error));
  }
  return Addresses(found);
}

void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

void WatchForLostPeer(int fd) {
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnackedMilliseconds);
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

absl::Status Lost(int error) { return Unavailable("{}", Message(ErrnoStatus(error, "connect"))); }

absl::StatusOr<UniqueFd> ConnectTo(const addrinfo& address, absl::Duration timeout) {
  UniqueFd fd(
      socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (!fd.valid()) {
    return Lost(errno);
  }
  if (connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS) {
    return Lost(errno);
  }
  pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) {
    return Lost(ETIMEDOUT);
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (ready < 0 || getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
    return Lost(errno);
  }
  if (error != 0) {
    return Lost(error);
  }
  WatchForLostPeer(fd.get());
  return fd;
}

}  // namespace

absl::StatusOr<UniqueFd> DialTcp(const std::string& host, uint16_t port, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const Addresses addresses, Resolve(host, port));
  absl::StatusOr<UniqueFd> last = Unavailable("resolving {}: no address", Quoted(host));
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    last = ConnectTo(*address, timeout);
    if (last.ok()) {
      break;
    }
  }
  return last;
}

}  // namespace assay
