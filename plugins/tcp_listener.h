// SPDX-License-Identifier: GPL-3.0-or-later
// Who listens on a TCP port of this machine, as the kernel's tables (/proc/net/tcp, tcp6) say. Any
// user may take a port that a plugin has given up, and must not be taken for the plugin.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "plugins/handshake.h"

namespace assay {

struct TcpListener {
  std::string local;  // Address and port in the kernel's hex.
  uid_t uid = 0;
};

// A row of such a table; nullopt when it is of no socket that listens.
std::optional<TcpListener> ParseTcpListener(std::string_view row);

// PermissionDenied when another user than the owner listens on the address, or nobody: then who was
// connected to it a moment ago is not known.
absl::Status CheckTcpListener(const PluginAddress& address, uid_t owner);

}  // namespace assay
