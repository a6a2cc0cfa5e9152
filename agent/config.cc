// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config.h"

#include <algorithm>
#include <cstdlib>

#include "agent/config_options.h"
#include "base/option_table.h"
#include "base/secret.h"
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

void CheckBootstrap(const AgentConfig& config, ConfigReport& report) {
  if (config.insecure_bootstrap && !config.trust_bundle_path.empty()) {
    report.AddError("only one of insecure_bootstrap or trust_bundle_path can be configured");
  }
  if (!config.insecure_bootstrap && config.trust_bundle_path.empty()) {
    report.AddError("insecure_bootstrap or trust_bundle_path must be configured");
  }
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
  if (!config.unix_attestor.has_value()) {
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

// What no single option can say: what is absent, and what does not go together.
void CheckWhole(AgentConfig& config, bool has_plugins, ConfigReport& report) {
  if (config.server_address.empty()) {
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
  CheckBootstrap(config, report);
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
}

// An argument has no place in a text: the name of its option says which it is.
std::string WithoutPlace(std::string_view told) {
  constexpr std::string_view kPlace = ":1:1: ";
  const size_t place = told.find(kPlace);
  return place == told.npos
             ? std::string(told)
             : fmt::format("{}: {}", told.substr(0, place), told.substr(place + kPlace.size()));
}

// Passwords may stand in the text.
void WipeTexts(ConfigValue& value) {
  Wipe(value.text.data(), value.text.size());
  for (ConfigValue& item : value.items) {
    WipeTexts(item);
  }
  for (ConfigMember& member : value.members) {
    WipeTexts(member.value);
  }
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

absl::StatusOr<AgentConfig> ParseAgentConfig(std::string_view name, std::string_view text,
                                             const ConfigOverrides& overrides) {
  ASSIGN_OR_RETURN(ConfigValue root, ParseConfig(name, text));
  AgentConfig config;
  ConfigReport report(name);
  bool has_plugins = false;
  ReadOptions(root, RootOptions(config, has_plugins), "", report);
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
  return config;
}

std::string ExpandEnvironment(std::string_view text) {
  const auto is_name_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::string out;
  while (!text.empty()) {
    const size_t dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.empty()) {
      break;
    }
    text.remove_prefix(1);
    std::string name;
    if (const size_t end = text.find('}'); text.starts_with('{') && end != text.npos) {
      name = text.substr(1, end - 1);
      text.remove_prefix(end + 1);
    } else {
      size_t size = 0;
      while (size < text.size() && is_name_part(text[size])) {
        ++size;
      }
      name = text.substr(0, size);
      text.remove_prefix(size);
    }
    if (name.empty()) {
      out += '$';
    } else if (const char* value = std::getenv(name.c_str()); value != nullptr) {
      out += value;
    }
  }
  return out;
}

absl::StatusOr<std::string> ClientSocketPath(std::string_view instance) {
  constexpr const char* kTemplate = "SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE";
  if (instance.empty()) {
    const char* path = std::getenv("SPIRE_AGENT_PUBLIC_SOCKET");
    return std::string(path != nullptr && *path != 0 ? std::string_view(path) : kDefaultSocketPath);
  }
  const char* pattern = std::getenv(kTemplate);
  if (pattern == nullptr || *pattern == 0) {
    return InvalidArgument("{} must be set to use -instance", kTemplate);
  }
  std::string path = pattern;
  const size_t at = path.find("%i");
  if (at == std::string::npos) {
    return InvalidArgument("{} must have a %i for the instance", kTemplate);
  }
  path.replace(at, 2, instance);
  return path;
}

}  // namespace assay
