// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_load.h"

#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>
#include <string_view>

#include "agent/sealed_start.h"
#include "assay/roles.pb.h"
#include "base/files.h"
#include "base/guarded_files.h"
#include "base/hcl.h"

namespace assay {
namespace {

constexpr size_t kMaxHostKeyBytes = 64 << 10;

Secret ReadHostKey(const AgentConfig& config) {
  if (config.node_attestor != AgentConfig::Attestor::kSshPop) {
    return Secret();
  }
  const std::string& path = config.sshpop.host_key_path;
  absl::StatusOr<Secret> text = geteuid() == 0 ? ReadGuardedSecretFile(path, kMaxHostKeyBytes)
                                               : ReadSecretFile(path, kMaxHostKeyBytes);
  return text.ok() ? *std::move(text) : Secret();
}

absl::StatusOr<LoadedConfig> Parse(const ConfigArguments& parsed, Secret text) {
  ASSIGN_OR_RETURN(AgentConfig config,
                   ParseAgentConfig(parsed.config_path(), text.Reveal(), parsed.overrides()));
  Secret host_key = ReadHostKey(config);
  return LoadedConfig{std::move(text), std::move(config), std::move(host_key)};
}

// The sealed configuration, wiped when it is done with.
class OpenedStart final {
 public:
  explicit OpenedStart(int fd) : opened_(OpenSealedStart(fd, start_)) {}
  ~OpenedStart() { WipeStart(start_); }
  OpenedStart(const OpenedStart&) = delete;
  OpenedStart& operator=(const OpenedStart&) = delete;

  const absl::Status& opened() const { return opened_; }
  const roles::IdentityStart& operator*() const { return start_; }
  const roles::IdentityStart* operator->() const { return &start_; }

 private:
  roles::IdentityStart start_;
  const absl::Status opened_;
};

// The options that differ, whether by the text or by what a plugin's file holds.
std::set<std::string> Changes(const roles::IdentityStart& before, const LoadedConfig& now,
                              const ConfigOverrides& overrides, bool that_reload) {
  std::set<std::string> paths;
  for (const OptionChange& change :
       CompareAgentConfigs(before.config_text(), now.text.Reveal(), overrides)) {
    if (change.reloads == that_reload) {
      paths.insert(change.path);
    }
  }
  for (const PluginFile& file : now.config.plugin_files) {
    const auto old_file = before.files().find(file.name);
    if (old_file == before.files().end()) {
      continue;
    }
    for (const OptionChange& change : ComparePluginFile(old_file->second, file)) {
      if (change.reloads == that_reload) {
        paths.insert(change.path);
      }
    }
  }
  const auto old_key = before.files().find(now.config.sshpop.host_key_path);
  if (that_reload && !now.ssh_host_key.empty() &&
      (old_key == before.files().end() || old_key->second != now.ssh_host_key.Reveal())) {
    paths.insert("the key at plugins.NodeAttestor \"sshpop\".host_key_path");
  }
  return paths;
}

}  // namespace

std::vector<std::string> IdentityFiles(const AgentConfig& config) {
  std::vector<std::string> files = {config.trust_bundle_path, config.join_token_file};
  const auto add = [&](AgentConfig::Attestor attestor, std::vector<std::string> more) {
    if (config.node_attestor == attestor) {
      files.insert(files.end(), more.begin(), more.end());
    }
  };
  const TpmDevidConfig& devid = config.tpm_devid;
  const X509PopOptions& pop = config.x509pop;
  add(AgentConfig::Attestor::kTpmDevid,
      {devid.devid_cert_path, devid.devid_priv_path, devid.devid_pub_path});
  add(AgentConfig::Attestor::kX509Pop,
      {pop.private_key_path, pop.certificate_path, pop.intermediates_path});
  add(AgentConfig::Attestor::kK8sPsat, {config.k8s_psat.token_path});
  add(AgentConfig::Attestor::kSshPop, {config.sshpop.host_cert_path});
  if (const PrometheusConfig& prometheus = config.telemetry.prometheus;
      prometheus.enabled && prometheus.tls.enabled) {
    const PrometheusConfig::Tls& tls = prometheus.tls;
    files.insert(files.end(), {tls.cert_file, tls.key_file, tls.client_ca_file});
  }
  std::erase(files, std::string());
  return files;
}

absl::StatusOr<LoadedConfig> LoadConfig(const ConfigArguments& parsed) {
  absl::StatusOr<std::string> text = ReadFile(parsed.config_path(), kMaxConfigBytes);
  if (absl::IsNotFound(text.status())) {
    return NotFound("could not find config file {}: please use the -config flag",
                    std::filesystem::absolute(parsed.config_path()).string());
  }
  RETURN_IF_ERROR(text.status());
  if (parsed.expand_env()) {
    std::string expanded = ExpandEnvironment(*text);
    Wipe(text->data(), text->size());
    *text = std::move(expanded);
  }
  return Parse(parsed, Secret::TakeFrom(*text));
}

absl::StatusOr<UniqueFd> SealConfig(const LoadedConfig& loaded, const ConfigArguments& parsed,
                                    const std::vector<std::string>& arguments) {
  std::map<std::string, std::string_view> files;
  for (const PluginFile& file : loaded.config.plugin_files) {
    files.emplace(file.name, file.text.Reveal());
  }
  if (!loaded.ssh_host_key.empty()) {
    files.emplace(loaded.config.sshpop.host_key_path, loaded.ssh_host_key.Reveal());
  }
  return SealIdentityStart(parsed.config_path(), loaded.text.Reveal(), arguments, files);
}

MonitorServe ServeOf(const AgentConfig& config) {
  return {.allow_unauthenticated_verifiers = config.allow_unauthenticated_verifiers,
          .log_selectors = config.log_selectors,
          .allowed_foreign_jwt_claims = config.allowed_foreign_jwt_claims,
          .authorized_delegates = config.authorized_delegates,
          .jwt_renewal_wait = config.jwt_svid_cache_hit_timeout};
}

absl::StatusOr<std::vector<MonitorPlugin>> SealPlugins(const AgentConfig& config) {
  std::vector<MonitorPlugin> plugins;
  for (const ExternalPlugin& external : config.external_plugins) {
    roles::PluginStart start;
    start.set_type(static_cast<int>(external.plugin.type));
    start.set_name(external.plugin.name);
    start.set_command(external.command);
    start.mutable_arguments()->Add(external.arguments.begin(), external.arguments.end());
    start.set_checksum(external.checksum);
    start.set_trust_domain(config.trust_domain);
    if (external.data.has_value()) {
      start.set_data(std::string(external.data->Reveal()));
    }
    ASSIGN_OR_RETURN(UniqueFd sealed, SealPluginStart(std::move(start)));
    plugins.push_back({external.plugin, external.user, std::move(sealed)});
  }
  return plugins;
}

absl::StatusOr<MonitorReload> ReloadConfig(ReloadScope scope, const SealedConfigs& sealed,
                                           const ConfigArguments& parsed,
                                           const std::vector<std::string>& arguments) {
  const OpenedStart started(sealed.started), current(sealed.current);
  RETURN_IF_ERROR(started.opened());
  RETURN_IF_ERROR(current.opened());
  ASSIGN_OR_RETURN(const LoadedConfig now, scope == ReloadScope::kAll
                                               ? LoadConfig(parsed)
                                               : Parse(parsed, Secret(current->config_text())));
  const ConfigOverrides overrides = parsed.overrides();
  const std::set<std::string> changed = Changes(*current, now, overrides, /*that_reload=*/true);
  const std::set<std::string> pending = Changes(*started, now, overrides, /*that_reload=*/false);
  MonitorReload reload{.identity_start = {},
                       .plugins = {},
                       .identity_files = IdentityFiles(now.config),
                       .serve = ServeOf(now.config),
                       .log = now.config.log,
                       .changed = {changed.begin(), changed.end()},
                       .pending = {pending.begin(), pending.end()}};
  ASSIGN_OR_RETURN(reload.identity_start, SealConfig(now, parsed, arguments));
  ASSIGN_OR_RETURN(reload.plugins, SealPlugins(now.config));
  // What stands in the configuration itself a plugin keeps until the agent is started anew.
  for (size_t i = now.config.external_plugins.size(); i > 0; --i) {
    if (!now.config.external_plugins[i - 1].data_in_file) {
      reload.plugins.erase(reload.plugins.begin() + static_cast<ptrdiff_t>(i) - 1);
    }
  }
  return reload;
}

}  // namespace assay
