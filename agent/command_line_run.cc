// SPDX-License-Identifier: GPL-3.0-or-later
// run and validate.
#include <sys/stat.h>

#include <filesystem>
#include <ostream>

#include "agent/command_line_command.h"
#include "agent/config.h"
#include "agent/config_arguments.h"
#include "agent/monitor.h"
#include "base/files.h"
#include "base/hcl.h"

namespace assay {
namespace {

// Nobody else may write what the agent makes, and strangers may not read it. Where others must,
// modes are set by name.
constexpr mode_t kUmask = 027;

struct LoadedConfig {
  std::string text;
  AgentConfig config;
};

absl::StatusOr<LoadedConfig> Load(const ConfigArguments& arguments) {
  absl::StatusOr<std::string> text = ReadFile(arguments.config_path(), kMaxConfigBytes);
  if (absl::IsNotFound(text.status())) {
    return NotFound("could not find config file {}: please use the -config flag",
                    std::filesystem::absolute(arguments.config_path()).string());
  }
  RETURN_IF_ERROR(text.status());
  if (arguments.expand_env()) {
    *text = ExpandEnvironment(*text);
  }
  ASSIGN_OR_RETURN(AgentConfig config,
                   ParseAgentConfig(arguments.config_path(), *text, arguments.overrides()));
  return LoadedConfig{*std::move(text), std::move(config)};
}

MonitorOptions OptionsOf(LoadedConfig loaded, const ConfigArguments& parsed,
                         const CommandArguments& arguments) {
  const AgentConfig& config = loaded.config;
  MonitorOptions options;
  options.config_name = parsed.config_path();
  options.config_text = std::move(loaded.text);
  options.arguments = arguments;
  options.trust_domain = config.trust_domain;
  options.allow_unauthenticated_verifiers = config.allow_unauthenticated_verifiers;
  options.socket_path = config.socket_path;
  options.admin_socket_path = config.admin_socket_path;
  if (config.unix_attestor.has_value()) {
    options.unix_attestor = {.discover_workload_path = config.unix_attestor->discover_workload_path,
                             .workload_size_limit = config.unix_attestor->workload_size_limit};
  }
  options.identity_folders.push_back(config.data_dir);
  if (!config.key_folder.empty() && config.key_folder != config.data_dir) {
    options.identity_folders.push_back(config.key_folder);
  }
  options.log = config.log;
  return options;
}

}  // namespace

int RunCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  ConfigArguments parsed("run");
  if (absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams);
  }
  absl::StatusOr<LoadedConfig> loaded = Load(parsed);
  if (!loaded.ok()) {
    streams.err << Message(loaded.status()) << "\n";
    return 1;
  }
  umask(umask(kUmask) | kUmask);
  return RunMonitor(OptionsOf(*std::move(loaded), parsed, arguments));
}

int ValidateCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  ConfigArguments parsed("validate");
  absl::Status status = parsed.Parse(arguments);
  if (absl::IsCancelled(status)) {
    return Misused(status, parsed.Usage(), streams);
  }
  if (!status.ok()) {
    streams.err << Message(status) << "\n" << parsed.Usage();
  } else {
    status = Load(parsed).status();
  }
  if (!status.ok()) {
    streams.err << "SPIRE agent configuration file is invalid: " << Message(status) << "\n";
    return 1;
  }
  streams.out << "SPIRE agent configuration file is valid.\n";
  return 0;
}

}  // namespace assay
