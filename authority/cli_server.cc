// SPDX-License-Identifier: GPL-3.0-or-later
// run and validate.
#include <ostream>

#include "authority/cli.h"
#include "authority/config.h"
#include "base/arguments.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr int kFailed = 1;

// The flags of both: each but the first two stands for an option of the server block.
struct ServerFlags {
  std::string config{kDefaultServerConfig};
  bool expand_env = false;
  bool log_source_location = false;
  std::string bind_address, data_dir, log_file, log_format, log_level, socket_path, trust_domain;
  int64_t server_port = 0;

  void AddTo(Arguments& flags);
  AuthorityOverrides Overrides() const;
};

void ServerFlags::AddTo(Arguments& flags) {
  flags.Add("config", config, "Path to a configuration file");
  flags.Add("expandEnv", expand_env, "Expand environment variables in the configuration file");
  flags.Add("bindAddress", bind_address, "IP address to listen on for agents");
  flags.Add("serverPort", server_port, "Port to listen on for agents");
  flags.Add("dataDir", data_dir, "Folder of all that is kept");
  flags.Add("logFile", log_file, "File to write logs to");
  flags.Add("logFormat", log_format, "'text' or 'json'");
  flags.Add("logLevel", log_level, "'debug', 'info', 'warn', or 'error'");
  flags.Add("logSourceLocation", log_source_location, "Accepted; has no effect");
  flags.Add("socketPath", socket_path, "Path of the API's socket for operators");
  flags.Add("trustDomain", trust_domain, "The trust domain");
}

AuthorityOverrides ServerFlags::Overrides() const {
  AuthorityOverrides overrides;
  const auto add = [&overrides](std::string_view name, std::string_view value) {
    if (!value.empty()) {
      overrides.emplace_back(name, value);
    }
  };
  add("bind_address", bind_address);
  add("bind_port", server_port == 0 ? "" : fmt::format("{}", server_port));
  add("data_dir", data_dir);
  add("log_file", log_file);
  add("log_format", log_format);
  add("log_level", log_level);
  add("socket_path", socket_path);
  add("trust_domain", trust_domain);
  return overrides;
}

// The configuration that the arguments ask for. Cancelled is a request for help, answered.
absl::StatusOr<AuthorityConfig> Load(std::string_view verb,
                                     const std::vector<std::string>& arguments,
                                     const CliHost& host) {
  ServerFlags fields;
  Arguments flags(verb);
  fields.AddTo(flags);
  const absl::Status parsed = flags.Parse(arguments);
  if (absl::IsCancelled(parsed)) {
    host.streams.err << flags.Usage();
  }
  RETURN_IF_ERROR(parsed);
  return LoadAuthorityConfig(fields.config, fields.expand_env, fields.Overrides());
}

}  // namespace

int RunServer(const std::vector<std::string>& arguments, const CliHost& host) {
  const auto config = Load("run", arguments, host);
  if (absl::IsCancelled(config.status())) {
    return 0;
  }
  if (!config.ok()) {
    host.streams.err << Message(config.status()) << "\n";
    return kFailed;
  }
  if (const absl::Status opened = log::Open(config->options.log); !opened.ok()) {
    host.streams.err << Message(opened) << "\n";
    return kFailed;
  }
  for (const std::string& warning : config->warnings) {
    log::Warn("Configuration", {{"warning", warning}});
  }
  const absl::Status served = host.serve(config->options);
  if (!served.ok()) {
    host.streams.err << Message(served) << "\n";
    return kFailed;
  }
  return 0;
}

int ValidateServer(const std::vector<std::string>& arguments, const CliHost& host) {
  const auto config = Load("validate", arguments, host);
  if (absl::IsCancelled(config.status())) {
    return 0;
  }
  if (!config.ok()) {
    host.streams.err << "SPIRE server configuration file is invalid: " << Message(config.status())
                     << "\n";
    return kFailed;
  }
  for (const std::string& warning : config->warnings) {
    host.streams.err << "Warning: " << warning << "\n";
  }
  host.streams.out << "SPIRE server configuration file is valid.\n";
  return 0;
}

}  // namespace assay
