// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace assay::rpc {
namespace {

// Of Linux 6.5; newer than the C library's headers. The same number on every architecture that uses
// the generic socket options.
constexpr int kSoPeerPidfd = 77;

// Nearly every process is in fewer.
constexpr size_t kMaxGroups = 64;

std::optional<std::vector<gid_t>> GroupsOf(int socket) {
  std::array<gid_t, kMaxGroups> groups;
  socklen_t size = sizeof(groups);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) {
    return std::nullopt;
  }
  return std::vector<gid_t>(groups.begin(), groups.begin() + size / sizeof(gid_t));
}

}  // namespace

bool ProcessPeer::Alive() const {
  pollfd poll_fd{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return pidfd.valid() && poll(&poll_fd, 1, 0) == 0;
}

absl::StatusOr<ProcessPeer> ProcessPeer::Of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return ErrnoStatus(errno, "asking the kernel who connected");
  }
  if (credentials.pid <= 0) {
    return PermissionDenied("the caller runs in a process namespace that is not visible from here");
  }
  ProcessPeer peer;
  peer.pid = credentials.pid;
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;
  peer.groups = GroupsOf(socket);
  int pidfd = -1;
  size = sizeof(pidfd);
  if (getsockopt(socket, SOL_SOCKET, kSoPeerPidfd, &pidfd, &size) == 0) {
    peer.pidfd.Reset(pidfd);
    return peer;
  }
  if (errno != ENOPROTOOPT) {
    return ErrnoStatus(errno, "asking the kernel for the caller's pidfd");
  }
  // An older kernel: the pid may have been reused since the caller connected.
  peer.pidfd.Reset(static_cast<int>(syscall(SYS_pidfd_open, credentials.pid, 0)));
  if (!peer.pidfd.valid()) {
    return ErrnoStatus(errno, "opening the caller's pidfd");
  }
  peer.pid_is_weak = true;
  return peer;
}

std::string NetworkOf(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  std::array<char, INET6_ADDRSTRLEN> text{};
  getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size);
  if (address.ss_family == AF_INET6) {
    in6_addr network = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&network)) {
      std::fill(network.s6_addr + 8, network.s6_addr + 16, uint8_t{0});
    }
    inet_ntop(AF_INET6, &network, text.data(), text.size());
  } else {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text.data(),
              text.size());
  }
  return text.data();
}

}  // namespace assay::rpc
