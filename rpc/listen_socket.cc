// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/listen_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/files.h"
#include "base/guarded_files.h"

namespace assay::rpc {
namespace {

constexpr int kBacklog = 4096;
// Every user must be able to reach the socket; who may connect is the socket's mode.
constexpr mode_t kFolderMode = 0755;

absl::StatusOr<UniqueFd> OpenSocket(int family) {
  UniqueFd socket_fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd.valid()) {
    return ErrnoStatus(errno, "opening a socket");
  }
  return socket_fd;
}

absl::StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path) ||
      path.find('\0') != std::string::npos) {
    return InvalidArgument("socket path {} must have 1 to {} bytes", Quoted(path),
                           sizeof(address.sun_path) - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Removes a socket that nobody listens on; whatever else is there stays.
absl::Status RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, "looking at " + path);
  }
  if (!S_ISSOCK(found.st_mode)) {
    return MakeStatus(absl::StatusCode::kAlreadyExists,
                      fmt::format("{} exists and is no socket; remove it", path));
  }
  ASSIGN_OR_RETURN(const UniqueFd probe, OpenSocket(AF_UNIX));
  const int connected =
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (connected == 0 || errno != ECONNREFUSED) {
    return MakeStatus(absl::StatusCode::kAlreadyExists,
                      fmt::format("{} is in use by another process", path));
  }
  if (unlink(path.c_str()) != 0) {
    return ErrnoStatus(errno, "removing the stale socket " + path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, mode_t mode) {
  ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  // What these folders' names mean can then not be changed by another user meanwhile.
  RETURN_IF_ERROR(WithContext(MakeGuardedFolders(FolderOf(path), kFolderMode),
                              fmt::format("the folder of the socket {}", path)));
  RETURN_IF_ERROR(RemoveStale(path, address));
  ASSIGN_OR_RETURN(UniqueFd listener, OpenSocket(AF_UNIX));
  // A socket's file gets the mode of the socket less the umask, so it never has another.
  if (fchmod(listener.get(), mode) != 0) {
    return ErrnoStatus(errno, "setting the mode of the socket " + path);
  }
  const mode_t before = umask(0);
  const int bound =
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(before);
  if (bound != 0) {
    return ErrnoStatus(error, "binding the socket " + path);
  }
  if (listen(listener.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, "listening on " + path);
  }
  return listener;
}

namespace {

// error: what the kernel said when it failed; else 0.
absl::StatusOr<UniqueFd> ListenAt(const std::string& address, uint16_t port, int& error) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto* ip4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* ip6 = reinterpret_cast<sockaddr_in6*>(&storage);
  error = 0;
  if (inet_pton(AF_INET, address.c_str(), &ip4->sin_addr) == 1) {
    ip4->sin_family = AF_INET;
    ip4->sin_port = htons(port);
    size = sizeof(*ip4);
  } else if (inet_pton(AF_INET6, address.c_str(), &ip6->sin6_addr) == 1) {
    ip6->sin6_family = AF_INET6;
    ip6->sin6_port = htons(port);
    size = sizeof(*ip6);
  } else {
    return InvalidArgument("{} is no IP address", Quoted(address));
  }
  UniqueFd listener(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!listener.valid() ||
      setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
      listen(listener.get(), kBacklog) != 0) {
    error = errno;
    return ErrnoStatus(error, fmt::format("listening on {} port {}", address, port));
  }
  return listener;
}

}  // namespace

absl::StatusOr<UniqueFd> ListenTcp(const std::string& address, uint16_t port) {
  int error = 0;
  return ListenAt(address, port, error);
}

absl::StatusOr<UniqueFd> ListenTcpHost(const std::string& host, uint16_t port) {
  if (host != "localhost") {  // No resolver: it may not answer yet when the machine starts.
    return ListenTcp(host, port);
  }
  int error = 0;
  absl::StatusOr<UniqueFd> listener = ListenAt("127.0.0.1", port, error);
  // Where another has the port of the one address, callers would reach him there.
  return error == EADDRNOTAVAIL || error == EAFNOSUPPORT ? ListenTcp("::1", port)
                                                         : std::move(listener);
}

bool IsLocal(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return false;
  }
  if (address.ss_family == AF_INET) {
    const uint32_t ip = ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr);
    return ip >> 24 == IN_LOOPBACKNET;
  }
  return address.ss_family == AF_UNIX ||
         (address.ss_family == AF_INET6 &&
          IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr));
}

}  // namespace assay::rpc
