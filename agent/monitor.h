// SPDX-License-Identifier: GPL-3.0-or-later
// The monitor: the process that the operator starts. It holds the listening sockets and nothing
// secret, starts the three roles by re-executing itself, links them, starts anew what dies, and
// tells systemd.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

struct MonitorOptions {
  // The configuration for the identity role, of SealIdentityStart.
  UniqueFd identity_start;

  std::string trust_domain;
  bool allow_unauthenticated_verifiers = false;
  std::string socket_path;        // The Workload API's; empty: none.
  std::string admin_socket_path;  // Mode 0770; empty: none.

  struct UnixAttestor {
    bool discover_workload_path = false;
    int64_t workload_size_limit = 0;  // Bytes; 0: no limit; below 0: never hash.
  };
  std::optional<UnixAttestor> unix_attestor;

  // When the monitor was started by root, the roles run as the users of agent/roles.cc, and the
  // identity role's user is let use these (agent/role_files.h): folders that it keeps its state in,
  // files that it reads, and the TPM's device or sockets.
  std::vector<std::string> identity_folders;
  std::vector<std::string> identity_files;
  std::vector<std::string> identity_devices;

  log::Options log;  // With a file: opened by the monitor alone, reopened on SIGUSR2.

  // What a role's process executes, and its arguments before "role NAME".
  std::string executable = "/proc/self/exe";
  std::string program_name = "assay-agent";
};

// Runs until SIGTERM or SIGINT (exit status 0), or until identity asks for the agent's end (the
// status it gives). 1 when it cannot begin, with the reason in the log.
int RunMonitor(const MonitorOptions& options);

}  // namespace assay
