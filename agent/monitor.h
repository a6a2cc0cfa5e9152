// SPDX-License-Identifier: GPL-3.0-or-later
// The monitor: the process that the operator starts. It holds the listening sockets and nothing
// secret, starts the roles by re-executing itself, links them, starts anew what dies, and
// tells systemd.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/role_files.h"
#include "base/log.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "plugins/plugin_type.h"
#include "workload-api/sds_options.h"

namespace assay {

// WorkloadAttestor "unix".
struct MonitorUnixAttestor {
  bool discover_workload_path = false;
  int64_t workload_size_limit = 0;  // Bytes; 0: no limit; below 0: never hash.
};

// Where a role is reached over TCP.
struct MonitorListener {
  std::string option;  // The block of the configuration that says it.
  std::string host;
  uint16_t port = 0;
};

// An external plugin: a role of its own.
struct MonitorPlugin {
  PluginName plugin;
  std::string user;  // As whom it runs; empty: as who started the agent.
  UniqueFd start;    // Of SealPluginStart.
};

// What the serve role is told of the configuration, and takes up anew while it runs.
struct MonitorServe {
  bool allow_unauthenticated_verifiers = false;
  std::vector<std::string> log_selectors;
  std::vector<std::string> allowed_foreign_jwt_claims;
  std::vector<std::string> authorized_delegates;
  std::optional<absl::Duration> jwt_renewal_wait;
};

// The audit log (agent/audit_log.h).
struct MonitorAudit {
  std::string file;
  // What cannot be written down is not handed out.
  bool refuse = true;
};

// What of the configuration is read anew: all of it, or what its plugin_data_files hold.
enum class ReloadScope { kAll, kPluginFiles };

// A configuration that was read anew, and is valid.
struct MonitorReload {
  UniqueFd identity_start;  // Of SealIdentityStart.
  std::vector<MonitorPlugin> plugins;
  // As those of MonitorOptions: others may be there now, or have come in their place.
  std::vector<std::string> identity_files;
  MonitorServe serve;
  log::Options log;
  // The options that differ from the configuration before, and are taken up while the agent runs.
  std::vector<std::string> changed;
  // Those that differ from what the agent was started with, and need a restart.
  std::vector<std::string> pending;
};

struct MonitorOptions {
  // The configuration for the identity role, of SealIdentityStart.
  UniqueFd identity_start;

  std::string trust_domain;
  MonitorServe serve;
  std::string socket_path;        // The Workload API's; empty: none.
  std::string admin_socket_path;  // Mode 0770; empty: none.

  std::optional<MonitorListener> health, metrics;

  bool disable_workload_api = false;
  std::optional<SdsOptions> sds;  // Unset: SDS is not served.
  std::optional<MonitorUnixAttestor> unix_attestor;
  // By their numbers, of which the first is 1: the identity role counts them by the configuration.
  std::vector<MonitorPlugin> plugins;

  // When the monitor was started by root, the roles run as the users of agent/roles.cc, and the
  // identity role's user is let use these (agent/role_files.h): folders that it keeps its state in,
  // files that it reads, and the TPM's device or sockets.
  std::vector<StateFolder> identity_folders;
  std::vector<std::string> identity_files;
  std::vector<std::string> identity_devices;

  log::Options log;  // With a file: opened by the monitor alone, reopened on SIGUSR2.
  std::optional<MonitorAudit> audit;  // Reopened on SIGHUP and SIGUSR2.

  // On SIGHUP and SIGUSR1; null: nothing is read anew. `current` is the identity_start before.
  std::function<absl::StatusOr<MonitorReload>(ReloadScope scope, int current)> reload;

  // What a role's process executes, and its arguments before "role NAME".
  std::string executable = "/proc/self/exe";
  std::string program_name = "assay-agent";
};

// Runs until SIGTERM or SIGINT (exit status 0; within 10 s), or until identity asks for the agent's
// end (the status it gives). 1 when it cannot begin, with the reason in the log.
int RunMonitor(const MonitorOptions& options);

}  // namespace assay
