// SPDX-License-Identifier: GPL-3.0-or-later
// run and validate.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "agent/command_line_command.h"
#include "agent/config.h"
#include "agent/config_arguments.h"
#include "agent/config_load.h"
#include "agent/monitor.h"
#include "tpm/device.h"

namespace assay {
namespace {

// Nobody else may write what the agent makes, and strangers may not read it. Where others must,
// modes are set by name.
constexpr mode_t kUmask = 027;

using Attestor = AgentConfig::Attestor;

// A folder in another comes before it, for what is in a folder of the role's is out of reach.
std::vector<StateFolder> IdentityFolders(const AgentConfig& config,
                                         const std::vector<std::string>& beside) {
  std::vector<StateFolder> folders = {{.path = config.data_dir, .beside = beside}};
  if (config.key_folder == config.data_dir) {
    folders.front().has_keys = true;
  } else if (!config.key_folder.empty()) {
    folders.push_back({.path = config.key_folder, .has_keys = true, .beside = beside});
  }
  const auto depth = [](const StateFolder& folder) {
    const std::filesystem::path path = std::filesystem::absolute(folder.path).lexically_normal();
    return std::distance(path.begin(), path.end());
  };
  std::stable_sort(folders.begin(), folders.end(),
                   [&](const auto& a, const auto& b) { return depth(a) > depth(b); });
  return folders;
}

// What the identity role reads and uses that may be root's.
void AddIdentityPaths(const AgentConfig& config, MonitorOptions& options) {
  options.identity_files = IdentityFiles(config);
  options.identity_folders = IdentityFolders(config, options.identity_files);
  const TpmDevidConfig& devid = config.tpm_devid;
  const bool has_tpm_key = config.key_manager == AgentConfig::KeyManager::kTpm;
  if (has_tpm_key || config.node_attestor == Attestor::kTpmDevid) {
    const std::string& named = has_tpm_key ? config.key_tpm.tpm_device_path : devid.tpm_device_path;
    const absl::StatusOr<std::string> found = named.empty() ? tpm::FindDevice("/dev") : named;
    const absl::StatusOr<tpm::TctiChoice> chosen =
        found.ok() ? tpm::ChooseTcti(*found) : found.status();
    // What is wrong with it the identity role tells.
    if (const size_t path = chosen.ok() ? chosen->tcti.find('/') : std::string::npos;
        path != std::string::npos) {
      const std::string device = chosen->tcti.substr(path, chosen->tcti.find(',') - path);
      options.identity_devices = {device, device + ".ctrl"};
    }
  }
}

MonitorOptions OptionsOf(const AgentConfig& config) {
  MonitorOptions options;
  options.trust_domain = config.trust_domain;
  options.serve = ServeOf(config);
  options.disable_workload_api = config.disable_workload_api;
  if (!config.disable_sds_api) {
    options.sds = config.sds;
  }
  options.socket_path = config.PublicSocket();
  options.admin_socket_path = config.admin_socket_path;
  if (config.health.listener_enabled) {
    options.health = {.option = "health_checks",
                      .host = config.health.bind_address,
                      .port = config.health.bind_port};
  }
  if (const PrometheusConfig& prometheus = config.telemetry.prometheus; prometheus.enabled) {
    options.metrics = {
        .option = "telemetry.Prometheus", .host = prometheus.host, .port = prometheus.port};
  }
  if (config.unix_attestor.has_value()) {
    options.unix_attestor = {.discover_workload_path = config.unix_attestor->discover_workload_path,
                             .workload_size_limit = config.unix_attestor->workload_size_limit};
  }
  AddIdentityPaths(config, options);
  options.log = config.log;
  if (const AuditLogConfig& audit = config.audit_log; !audit.file.empty()) {
    options.audit = {.file = audit.file,
                     .refuse = audit.when_unwritable == AuditLogConfig::WhenUnwritable::kRefuse};
  }
  return options;
}

// The configuration itself lives no longer than this: the monitor keeps none. What is parsed must
// outlive the options.
absl::StatusOr<MonitorOptions> Prepare(const ConfigArguments& parsed,
                                       const CommandArguments& arguments) {
  ASSIGN_OR_RETURN(const LoadedConfig loaded, LoadConfig(parsed));
  MonitorOptions options = OptionsOf(loaded.config);
  ASSIGN_OR_RETURN(options.identity_start, SealConfig(loaded, parsed, arguments));
  const int started = options.identity_start.get();
  ASSIGN_OR_RETURN(options.plugins, SealPlugins(loaded.config));
  options.reload = [&parsed, &arguments, started](ReloadScope scope, int current) {
    return ReloadConfig(scope, {.started = started, .current = current}, parsed, arguments);
  };
  return options;
}

}  // namespace

int RunCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  ConfigArguments parsed("run");
  if (absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams, kHelpRequested);
  }
  const absl::StatusOr<MonitorOptions> options = Prepare(parsed, arguments);
  if (!options.ok()) {
    streams.err << Message(options.status()) << "\n";
    return 1;
  }
  umask(umask(kUmask) | kUmask);
  return RunMonitor(*options);
}

int ValidateCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  ConfigArguments parsed("validate");
  absl::Status status = parsed.Parse(arguments);
  if (absl::IsCancelled(status)) {
    return Misused(status, parsed.Usage(), streams, kHelpRequested);
  }
  if (!status.ok()) {
    streams.err << Message(status) << "\n" << parsed.Usage();
  } else {
    const absl::StatusOr<LoadedConfig> loaded = LoadConfig(parsed);
    status = loaded.status();
    for (const std::string& warning :
         loaded.ok() ? loaded->config.warnings : std::vector<std::string>()) {
      streams.err << "warning: " << warning << "\n";
    }
  }
  if (!status.ok()) {
    streams.err << "SPIRE agent configuration file is invalid: " << Message(status) << "\n";
    return 1;
  }
  streams.out << "SPIRE agent configuration file is valid.\n";
  return 0;
}

}  // namespace assay
