// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/handshake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <vector>

#include "plugins/tcp_listener.h"

namespace assay {
namespace {

constexpr std::string_view kCoreVersion = "1";
constexpr std::string_view kAppVersion = "1";
// Shorter ones are what old plugins print in the certificate's place.
constexpr size_t kLeastCertificate = 50;
constexpr uint32_t kLoopbackNetwork = 127;

std::vector<std::string_view> Split(std::string_view line) {
  std::vector<std::string_view> parts;
  for (size_t bar = 0; bar != line.npos;) {
    bar = line.find('|');
    parts.push_back(line.substr(0, bar));
    line.remove_prefix(bar == line.npos ? line.size() : bar + 1);
  }
  return parts;
}

std::string_view Trimmed(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = line.find_first_not_of(kSpace);
  return first == line.npos ? std::string_view()
                            : line.substr(first, line.find_last_not_of(kSpace) - first + 1);
}

absl::StatusOr<PluginAddress> UnixAddress(std::string_view path) {
  PluginAddress address;
  sockaddr_un unix_address{};
  if (path.empty() || path.size() >= sizeof(unix_address.sun_path) ||
      path.find('\0') != path.npos) {
    return FailedPrecondition("plugin serves on {}, which is no path of a Unix socket",
                              Quoted(path));
  }
  unix_address.sun_family = AF_UNIX;
  memcpy(unix_address.sun_path, path.data(), path.size());
  memcpy(&address.storage, &unix_address, sizeof(unix_address));
  address.size = sizeof(unix_address);
  return address;
}

// Whoever is on another machine must not be taken for the plugin.
absl::StatusOr<PluginAddress> TcpAddress(std::string_view text) {
  const absl::Status bad = FailedPrecondition(
      "plugin serves on {}, which is no port of this machine's loopback", Quoted(text));
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  if (colon == text.npos) {
    return bad;
  }
  const std::string_view digits = text.substr(colon + 1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || port == 0) {
    return bad;
  }
  std::string host(text.substr(0, colon));
  if (host == "localhost") {
    host = "127.0.0.1";
  }
  PluginAddress address;
  sockaddr_in ipv4{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  if (inet_pton(AF_INET, host.c_str(), &ipv4.sin_addr) == 1) {
    if (ntohl(ipv4.sin_addr.s_addr) >> 24 != kLoopbackNetwork) {
      return bad;
    }
    memcpy(&address.storage, &ipv4, sizeof(ipv4));
    address.size = sizeof(ipv4);
    return address;
  }
  if (host != "[::1]") {
    return bad;
  }
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(port);
  ipv6.sin6_addr = in6addr_loopback;
  memcpy(&address.storage, &ipv6, sizeof(ipv6));
  address.size = sizeof(ipv6);
  return address;
}

}  // namespace

absl::StatusOr<PluginAddress> ParseHandshake(std::string_view line) {
  const std::vector<std::string_view> parts = Split(Trimmed(line));
  if (line.size() > kMaxHandshakeBytes || parts.size() < 4) {
    return FailedPrecondition("plugin's first line is {}: it is no plugin that go-plugin can start",
                              Quoted(line));
  }
  if (parts[0] != kCoreVersion || parts[1] != kAppVersion) {
    return FailedPrecondition(
        "plugin speaks version {} of go-plugin's protocol and {} of SPIRE's, wanted {} and {}: "
        "build it anew",
        Quoted(parts[0]), Quoted(parts[1]), kCoreVersion, kAppVersion);
  }
  const std::string_view protocol = parts.size() > 4 ? parts[4] : "netrpc";
  if (protocol != "grpc") {
    return FailedPrecondition("plugin speaks {}, wanted grpc", Quoted(protocol));
  }
  if (parts.size() > 5 && parts[5].size() > kLeastCertificate) {
    return FailedPrecondition("plugin wants TLS, which SPIRE's plugins do without");
  }
  if (parts[2] == "unix") {
    return UnixAddress(parts[3]);
  }
  if (parts[2] == "tcp") {
    return TcpAddress(parts[3]);
  }
  return FailedPrecondition("plugin serves on network {}, wanted unix or tcp", Quoted(parts[2]));
}

namespace {

// On the loopback a connection stands at once or is refused, unless the program takes none.
absl::Status AwaitConnected(int socket_fd) {
  pollfd waiting{.fd = socket_fd, .events = POLLOUT, .revents = 0};
  int error = ETIMEDOUT;
  socklen_t size = sizeof(error);
  if (poll(&waiting, 1, /*timeout=*/1000) == 1) {
    getsockopt(socket_fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "connecting to the plugin");
}

}  // namespace

absl::StatusOr<UniqueFd> ConnectTo(const PluginAddress& address) {
  UniqueFd socket_fd(
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_fd.valid()) {
    return ErrnoStatus(errno, "making a socket to the plugin");
  }
  sockaddr_storage storage = address.storage;
  if (connect(socket_fd.get(), reinterpret_cast<sockaddr*>(&storage), address.size) != 0) {
    RETURN_IF_ERROR(errno == EINPROGRESS ? AwaitConnected(socket_fd.get())
                                         : ErrnoStatus(errno, "connecting to the plugin"));
  }
  if (address.storage.ss_family != AF_UNIX) {
    const int on = 1;
    setsockopt(socket_fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // After connecting, so that it is whom the connection came to.
    RETURN_IF_ERROR(CheckTcpListener(address, geteuid()));
  }
  return socket_fd;
}

}  // namespace assay
