// SPDX-License-Identifier: GPL-3.0-or-later
// Where a plugin's process serves, as the first line that it prints says
// (CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE of go-plugin).
#pragma once

#include <sys/socket.h>

#include <string_view>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

// A Unix socket, or a TCP port of this machine's loopback.
struct PluginAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;
};

constexpr size_t kMaxHandshakeBytes = 4096;

// The line without its end. FailedPrecondition says what about the plugin does not fit: another
// version, another protocol than gRPC, TLS, an address that others could be behind.
absl::StatusOr<PluginAddress> ParseHandshake(std::string_view line);

// A connected, non-blocking socket. PermissionDenied when another user than this process's listens
// on the plugin's TCP port.
absl::StatusOr<UniqueFd> ConnectTo(const PluginAddress& address);

}  // namespace assay
