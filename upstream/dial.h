// SPDX-License-Identifier: GPL-3.0-or-later
// A TCP connection to the first of several addresses that answers (Happy Eyeballs, RFC 8305): each
// is tried a moment after the one before, or at once when that fails, IPv6 and IPv4 by turns.
#pragma once

#include <absl/time/time.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  std::string ToString() const;  // "127.0.0.1:80", "[::1]:80"
};

// The addresses of a host name, in the resolver's order but with the families by turns. At least
// one. Blocks.
absl::StatusOr<std::vector<SocketAddress>> ResolveHost(const std::string& host, uint16_t port);

struct DialOptions {
  absl::Duration timeout = absl::Seconds(10);        // For each address.
  absl::Duration stagger = absl::Milliseconds(250);  // Until the next is tried beside it.
  absl::Duration within = absl::InfiniteDuration();  // For all of them.
};
struct Dialed {
  // Connected, non-blocking, with TCP keepalive, so that a peer that vanished is noticed within two
  // minutes.
  UniqueFd socket;
  size_t index;  // Of its address.
};
// Blocks. Unavailable says what the last address answered.
absl::StatusOr<Dialed> DialTcp(const std::vector<SocketAddress>& addresses,
                               const DialOptions& options = {});

}  // namespace assay
