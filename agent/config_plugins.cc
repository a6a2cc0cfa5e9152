// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_plugins.h"

#include <limits>
#include <memory>

#include "agent/config_node_attestors.h"
#include "agent/config_plugin.h"

namespace assay {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

OptionTable TpmKeyOptions(TpmKeyManagerConfig& config) {
  using crypto::KeyType;
  return {
      {"tpm_device_path", Into(config.tpm_device_path),
       "The TPM; unset: tpm_devid's, or the only."},
      {"owner_hierarchy_password", Into(config.owner_hierarchy_password),
       "Password of the TPM's owner hierarchy; unset: tpm_devid's."},
      {"key_type",
       OneOf<KeyType>(config.key_type, {{"ec-p256", KeyType::kEcP256},
                                        {"ec-p384", KeyType::kEcP384},
                                        {"rsa-2048", KeyType::kRsa2048}}),
       "Type of the agent's key."},
  };
}

OptionReader KeyManagers(AgentConfig& config, PluginFiles& files) {
  using KeyManager = AgentConfig::KeyManager;
  return Plugins(
      "KeyManager",
      {{.name = "disk",
        .data = {{"directory", Into(config.key_folder), "Folder of keys.json.", true}},
        .doc = "In keys.json, of mode 0600, and found again after a restart.",
        .choose = [&config] { config.key_manager = KeyManager::kDisk; }},
       {.name = "memory",
        .data = {},
        .doc = "In memory alone: each start is a new node attestation.",
        .choose = [&config] { config.key_manager = KeyManager::kMemory; }},
       {.name = "tpm",
        .data = TpmKeyOptions(config.key_tpm),
        .doc = "In the TPM, which it never leaves; the default beside NodeAttestor \"tpm_devid\".",
        .choose = [&config] { config.key_manager = KeyManager::kTpm; }}},
      Number::kOne, files);
}

OptionReader NodeAttestors(AgentConfig& config, PluginFiles& files) {
  return Plugins("NodeAttestor", NodeAttestorPlugins(config), Number::kOne, files,
                 ExternalPlugins{.type = PluginType::kNodeAttestor,
                                 .choose =
                                     [&config](ExternalPlugin plugin) {
                                       config.node_attestor = AgentConfig::Attestor::kPlugin;
                                       config.external_plugins.push_back(std::move(plugin));
                                     },
                                 .built_in = "join_token"});
}

ExternalPlugins AnyNumberOf(PluginType type, AgentConfig& config) {
  return {.type = type, .choose = [&config](ExternalPlugin plugin) {
            config.external_plugins.push_back(std::move(plugin));
          }};
}

OptionReader WorkloadAttestors(AgentConfig& config, PluginFiles& files) {
  auto unix_config = std::make_shared<UnixAttestorConfig>();
  return Plugins("WorkloadAttestor",
                 {{.name = "unix",
                   .data = {{"discover_workload_path", Into(unix_config->discover_workload_path),
                             "Whether to say the path and the digest of the executable."},
                            {"workload_size_limit",
                             Into(unix_config->workload_size_limit,
                                  std::numeric_limits<int64_t>::min(), kNoLimit),
                             "Largest executable to digest, in bytes; 0: any; below 0: none."}},
                   .doc = "By user, groups, and if asked for the executable.",
                   .choose = [&config, unix_config] { config.unix_attestor = *unix_config; }}},
                 Number::kAny, files, AnyNumberOf(PluginType::kWorkloadAttestor, config));
}

}  // namespace

OptionTable PluginOptions(AgentConfig& config, PluginFiles& files) {
  return {
      {"KeyManager", KeyManagers(config, files), "Where the agent's key is kept."},
      {"NodeAttestor", NodeAttestors(config, files), "How the node is proved to the upstream."},
      {"WorkloadAttestor", WorkloadAttestors(config, files), "How callers are proved."},
      {"SVIDStore",
       Plugins("SVIDStore", {}, Number::kAny, files, AnyNumberOf(PluginType::kSvidStore, config)),
       "Stores outside that SVIDs are put into: external plugins alone."},
  };
}

}  // namespace assay
