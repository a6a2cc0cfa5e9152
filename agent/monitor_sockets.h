// SPDX-License-Identifier: GPL-3.0-or-later
// The sockets that roles are reached on. The monitor binds them, for it outlives the roles, and may
// take ports and folders that they may not.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/monitor.h"
#include "agent/roles.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

class MonitorSockets final {
 public:
  struct Socket {
    roles::Endpoint endpoint;
    std::string path;  // Empty: on TCP.
    UniqueFd fd;
  };

  // Those that the options name; once.
  absl::Status Bind(const MonitorOptions& options);
  const std::vector<Socket>& all() const { return sockets_; }
  // Takes their files away.
  void Unlink() const;

 private:
  absl::Status BindUnix(const std::string& path, roles::Endpoint endpoint, mode_t mode);
  absl::Status BindTcp(const std::optional<MonitorListener>& where, roles::Endpoint endpoint);

  std::vector<Socket> sockets_;
};

}  // namespace assay
