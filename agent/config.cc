// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "agent/config_bootstrap.h"
#include "agent/config_listeners.h"
#include "agent/config_options.h"
#include "base/files.h"
#include "base/guarded_files.h"
#include "base/hcl.h"
#include "base/secret.h"
#include "crypto/tls.h"
#include "spiffe/spiffe_id.h"

namespace assay {
namespace {

constexpr absl::Duration kLeastAvailabilityTarget = absl::Hours(24);

// The folder part of a path, lexically: without ".", ".." and doubled slashes.
std::vector<std::string> FolderParts(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part == ".." && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
  }
  if (!parts.empty()) {
    parts.pop_back();
  }
  return parts;
}

// Whoever may reach the Workload API's folder must not find the admin socket there.
bool IsInFolderOf(std::string_view path, std::string_view other) {
  const std::vector<std::string> folder = FolderParts(path), public_folder = FolderParts(other);
  return folder.size() >= public_folder.size() &&
         std::equal(public_folder.begin(), public_folder.end(), folder.begin());
}

bool HasToken(const AgentConfig& config) {
  return !config.join_token.empty() || !config.join_token_file.empty();
}

void CheckPlugins(const AgentConfig& config, bool has_plugins, ConfigReport& report) {
  if (!has_plugins) {
    report.AddError("plugins section must be configured");
    return;
  }
  const bool has_token = HasToken(config);
  if (config.node_attestor == AgentConfig::Attestor::kNone && !has_token) {
    report.AddError("plugins: one NodeAttestor must be configured");
  }
  if (config.key_manager == AgentConfig::KeyManager::kNone) {
    report.AddError("plugins: one KeyManager must be configured");
  }
  const bool has_workload_attestor =
      config.unix_attestor.has_value() || config.HasExternal(PluginType::kWorkloadAttestor);
  if (!has_workload_attestor) {
    report.AddError("plugins: at least one WorkloadAttestor must be configured");
  }
}

// The process has one owner of one TPM.
void ShareTpm(AgentConfig& config, ConfigReport& report) {
  TpmDevidConfig& devid = config.tpm_devid;
  TpmKeyManagerConfig& key = config.key_tpm;
  if (key.tpm_device_path.empty()) {
    key.tpm_device_path = devid.tpm_device_path;
  }
  if (key.tpm_device_path != devid.tpm_device_path) {
    report.AddError(
        "plugins: KeyManager \"tpm\" and NodeAttestor \"tpm_devid\" must have the same "
        "tpm_device_path");
  }
  if (key.owner_hierarchy_password.empty()) {
    key.owner_hierarchy_password = devid.owner_hierarchy_password.Clone();
  }
}

void CheckDelegates(const AgentConfig& config, ConfigReport& report) {
  for (const std::string& delegate : config.authorized_delegates) {
    const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(delegate);
    if (!id.ok()) {
      report.AddError(fmt::format("authorized_delegates: {}", Message(id.status())));
    } else if (id->trust_domain().name() != config.trust_domain) {
      report.AddError(fmt::format("authorized_delegates: {} is not a member of trust domain {}",
                                  Quoted(delegate), Quoted(config.trust_domain)));
    }
  }
}

// What no single option can say: what is absent, and what does not go together.
void CheckWhole(AgentConfig& config, bool has_plugins, ConfigReport& report) {
  const std::vector<std::string>& addresses = config.server_addresses;
  if (addresses.empty() || std::find(addresses.begin(), addresses.end(), "") != addresses.end()) {
    report.AddError("server_address must be configured");
  }
  if (config.server_port == 0) {
    report.AddError("server_port must be configured");
  }
  if (config.trust_domain.empty()) {
    report.AddError("trust_domain must be configured");
  } else if (const auto parsed = TrustDomain::Parse(config.trust_domain); !parsed.ok()) {
    report.AddError(fmt::format("trust_domain: {}", Message(parsed.status())));
  }
  CheckDelegates(config, report);
  CheckBootstrap(config, report);
  if (const absl::Status able = crypto::CheckPostQuantum(); config.require_pq_kem && !able.ok()) {
    report.AddError(fmt::format("experimental.require_pq_kem: {}", Message(able)));
  }
  if (!config.join_token.empty() && !config.join_token_file.empty()) {
    report.AddError("only one of join_token or join_token_file can be configured");
  }
  if (config.availability_target.has_value() &&
      *config.availability_target < kLeastAvailabilityTarget) {
    report.AddError("availability_target must be at least 24h0m0s");
  }
  if (config.sync_interval <= absl::ZeroDuration()) {
    report.AddError("experimental.sync_interval must be more than 0s");
  }
  if (config.rpc_timeout <= absl::ZeroDuration()) {
    report.AddError("experimental.rpc_timeout must be more than 0s");
  }
  if (config.socket_path.empty()) {
    report.AddError("socket_path must not be empty");
  }
  if (!config.admin_socket_path.empty() &&
      IsInFolderOf(config.admin_socket_path, config.socket_path)) {
    report.AddError(
        "admin_socket_path cannot be in the same directory or under the same subdirectory as "
        "socket_path");
  }
  if (HasToken(config)) {
    config.node_attestor = AgentConfig::Attestor::kJoinToken;  // Whatever plugin there is.
    std::erase_if(config.external_plugins, [](const ExternalPlugin& external) {
      return external.plugin.type == PluginType::kNodeAttestor;
    });
  }
  if (config.node_attestor == AgentConfig::Attestor::kTpmDevid) {
    if (config.key_manager == AgentConfig::KeyManager::kNone) {
      config.key_manager = AgentConfig::KeyManager::kTpm;
    }
    if (config.key_manager == AgentConfig::KeyManager::kTpm) {
      ShareTpm(config, report);
    }
  }
  CheckPlugins(config, has_plugins, report);
  CheckListeners(config, report);
}

// An argument has no place in a text: the name of its option says which it is.
std::string WithoutPlace(std::string_view told) {
  constexpr std::string_view kPlace = ":1:1: ";
  const size_t place = told.find(kPlace);
  return place == told.npos
             ? std::string(told)
             : fmt::format("{}: {}", told.substr(0, place), told.substr(place + kPlace.size()));
}

void ApplyOverrides(const ConfigOverrides& overrides, AgentConfig& config, ConfigReport& whole) {
  ConfigReport report("command line");
  for (const auto& [name, text] : overrides) {
    ConfigValue block, value;
    block.kind = ConfigValue::Kind::kObject;
    value.kind = ConfigValue::Kind::kString;
    value.text = text;
    block.members.push_back({name, {}, std::move(value)});
    ReadOptions(block, AgentOptions(config), "agent", report);
    WipeTexts(block);
  }
  for (const std::string& error : report.errors()) {
    whole.AddError(WithoutPlace(error));
  }
  for (const std::string& warning : report.warnings()) {
    config.warnings.push_back(WithoutPlace(warning));
  }
}

}  // namespace

bool AgentConfig::HasExternal(PluginType type) const {
  return std::any_of(
      external_plugins.begin(), external_plugins.end(),
      [type](const ExternalPlugin& external) { return external.plugin.type == type; });
}

absl::StatusOr<Secret> ReadPluginFile(const std::string& name) {
  return geteuid() == 0 ? ReadGuardedSecretFile(name, kMaxConfigBytes)
                        : ReadSecretFile(name, kMaxConfigBytes);
}

absl::StatusOr<AgentConfig> ParseAgentConfig(std::string_view name, std::string_view text,
                                             const ConfigOverrides& overrides,
                                             const PluginFileReader& read) {
  ASSIGN_OR_RETURN(ConfigValue root, ParseConfig(name, text));
  AgentConfig config;
  ConfigReport report(name);
  PluginFiles files{.read = read, .used = {}};
  bool has_plugins = false;
  ReadOptions(root, RootOptions(config, has_plugins, files), "", report);
  WipeTexts(root);
  ApplyOverrides(overrides, config, report);
  if (config.trust_domain.starts_with("spiffe://")) {
    if (const auto id = SpiffeId::Parse(config.trust_domain); id.ok()) {
      config.trust_domain = id->trust_domain().name();
    }
  }
  CheckWhole(config, has_plugins, report);
  RETURN_IF_ERROR(report.ToStatus());
  config.warnings.insert(config.warnings.begin(), report.warnings().begin(),
                         report.warnings().end());
  config.plugin_files = std::move(files.used);
  return config;
}

namespace {

std::vector<OptionChange> CompareTexts(std::string_view before, std::string_view after,
                                       const OptionTable& options, std::string_view path) {
  absl::StatusOr<ConfigValue> old_root = ParseConfig("", before), new_root = ParseConfig("", after);
  std::vector<OptionChange> changes;
  if (old_root.ok() && new_root.ok()) {
    changes = CompareOptions(*old_root, *new_root, options, path);
  }
  for (auto* root : {&old_root, &new_root}) {
    if (root->ok()) {
      WipeTexts(**root);
    }
  }
  return changes;
}

}  // namespace

std::vector<OptionChange> ComparePluginFile(std::string_view before, const PluginFile& now) {
  if (now.options == nullptr) {
    return before == now.text.Reveal() ? std::vector<OptionChange>()
                                       : std::vector<OptionChange>{{now.option, true}};
  }
  return CompareTexts(before, now.text.Reveal(), *now.options, now.option);
}

std::vector<OptionChange> CompareAgentConfigs(std::string_view before, std::string_view after,
                                              const ConfigOverrides& overrides) {
  AgentConfig unused;
  PluginFiles files;
  bool has_plugins = false;
  std::vector<OptionChange> changes =
      CompareTexts(before, after, RootOptions(unused, has_plugins, files), "");
  for (const auto& [name, text] : overrides) {
    std::erase_if(changes, [path = "agent." + name](const OptionChange& change) {
      return change.path == path;
    });
  }
  return changes;
}

namespace {

bool IsNamePart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The bytes of a reference to a variable, behind its dollar, and the variable's name. A name that
// is empty with bytes used is a mistake in the text and gives nothing; without, the dollar is one.
std::pair<size_t, std::string> ReadVariable(std::string_view text) {
  constexpr std::string_view kSpecial = "*#$@!?-0123456789";
  if (text.starts_with('{')) {
    const size_t end = text.find('}');
    return end == text.npos ? std::pair(size_t{1}, std::string())
                            : std::pair(end + 1, std::string(text.substr(1, end - 1)));
  }
  if (!text.empty() && kSpecial.find(text[0]) != kSpecial.npos) {
    return {1, std::string(text.substr(0, 1))};
  }
  size_t size = 0;
  while (size < text.size() && IsNamePart(text[size])) {
    ++size;
  }
  return {size, std::string(text.substr(0, size))};
}

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace

std::string ExpandEnvironment(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == text.npos) {
      break;
    }
    text.remove_prefix(dollar + 1);
    const auto [size, name] = ReadVariable(text);
    text.remove_prefix(size);
    if (size == 0 || name == "$") {
      out += '$';
    } else if (const char* value = std::getenv(name.c_str()); value != nullptr) {
      out += value;
    }
  }
  return out;
}

absl::StatusOr<std::string> ClientSocketPath(std::string_view instance) {
  constexpr const char* kTemplate = "SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE";
  constexpr std::string_view kInstance = "%i";
  if (instance.empty()) {
    const char* path = std::getenv("SPIRE_AGENT_PUBLIC_SOCKET");
    return std::string(path != nullptr && *path != 0 ? std::string_view(path) : kDefaultSocketPath);
  }
  const char* value = std::getenv(kTemplate);
  const std::string pattern = value == nullptr ? "" : value;
  if (pattern.empty()) {
    return InvalidArgument("{} environment variable must be defined when using the instance flag",
                           kTemplate);
  }
  if (pattern.find(kInstance) == pattern.npos) {
    return InvalidArgument("failed to find {} in {}", kInstance, kTemplate);
  }
  return ReplaceAll(pattern, kInstance, instance);
}

}  // namespace assay
