// SPDX-License-Identifier: GPL-3.0-or-later
// The configuration as `run` and `validate` find it: the file, its variables, the files of its
// plugins and the command line over it; and the same read anew for an agent that runs.
#pragma once

#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/config_arguments.h"
#include "agent/monitor.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

struct LoadedConfig {
  Secret text;  // There may be passwords in it.
  AgentConfig config;
  // NodeAttestor "sshpop"'s. sshd takes no host key that others than root may read, so it is not
  // made readable for the identity role. Empty: it could not be read, and the role tells why.
  Secret ssh_host_key;
};

// The operator's files that the identity role reads.
std::vector<std::string> IdentityFiles(const AgentConfig& config);

absl::StatusOr<LoadedConfig> LoadConfig(const ConfigArguments& parsed);

// For the identity role; the arguments are those that were parsed.
absl::StatusOr<UniqueFd> SealConfig(const LoadedConfig& loaded, const ConfigArguments& parsed,
                                    const std::vector<std::string>& arguments);

// For the serve role.
MonitorServe ServeOf(const AgentConfig& config);

// For the roles of the external plugins, by their numbers.
absl::StatusOr<std::vector<MonitorPlugin>> SealPlugins(const AgentConfig& config);

// What changes for an agent that was started with one sealed configuration and has taken up another
// (or the same) since. An invalid new one is the error.
struct SealedConfigs {
  int started = -1;
  int current = -1;
};
absl::StatusOr<MonitorReload> ReloadConfig(ReloadScope scope, const SealedConfigs& sealed,
                                           const ConfigArguments& parsed,
                                           const std::vector<std::string>& arguments);

}  // namespace assay
