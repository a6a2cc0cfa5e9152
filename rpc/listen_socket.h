// SPDX-License-Identifier: GPL-3.0-or-later
// Listening sockets: what a server of this folder accepts on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay::rpc {

// A listening Unix socket at path with this mode, replacing a stale one (one nobody listens on); a
// live one is AlreadyExists. Its folder is made if there is none, so that all may enter it; one in
// which another user could replace the socket is FailedPrecondition. For the time of the call the
// process's umask is another.
absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, mode_t mode);
// A listening TCP socket on an IP address and port (0: any free one).
absl::StatusOr<UniqueFd> ListenTcp(const std::string& address, uint16_t port);

// The same on an IP address or "localhost": 127.0.0.1, or ::1 on a machine without that address. No
// other name is looked up.
absl::StatusOr<UniqueFd> ListenTcpHost(const std::string& host, uint16_t port);

// Whether the listening socket is reached from this machine alone.
bool IsLocal(int listener);

}  // namespace assay::rpc
