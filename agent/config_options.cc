// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_options.h"

#include <limits>

#include "agent/config_node_attestors.h"
#include "agent/config_plugin.h"

namespace assay {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr int kMostSvids = 1'000'000;

OptionReader LogLevel(log::Level& field) {
  return [&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    const std::optional<std::string> text = TextOf(value, path, report);
    if (!text.has_value()) {
      return;
    }
    if (const auto level = log::ParseLevel(*text); level.ok()) {
      field = *level;
    } else {
      report.AddError(value.position, fmt::format("{}: {}", path, Message(level.status())));
    }
  };
}

// Accepts the names alone, and does nothing.
OptionReader OnlyOneOf(std::vector<std::string_view> names) {
  return
      [names = std::move(names)](const ConfigValue& value, std::string_view path,
                                 ConfigReport& report) { FindChoice(value, names, path, report); };
}

// A number of entries, where 0 and less stand for the default.
OptionReader CacheSize(int& field) {
  return [&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    int size = 0;
    Into(size, std::numeric_limits<int>::min(), kMostSvids)(value, path, report);
    if (size > 0) {
      field = size;
    }
  };
}

OptionTable SdsOptions() {
  return {
      {"default_svid_name", WithoutEffect(), "SDS name of the first X509-SVID."},
      {"default_bundle_name", WithoutEffect(), "SDS name of the own trust bundle."},
      {"default_all_bundles_name", WithoutEffect(), "SDS name of all trust bundles."},
      {"disable_spiffe_cert_validation", WithoutEffect(), "Plain CA validation in SDS."},
  };
}

OptionTable ExperimentalOptions(AgentConfig& config) {
  return {
      {"sync_interval", Into(config.sync_interval), "How often to sync with the upstream."},
      {"use_sync_authorized_entries", OnlyOneOf({"true", "false"}),
       "Entries are always synced by their changes."},
      {"require_pq_kem", NotSupported(), "Post-quantum key exchange alone."},
      {"jwt_svid_cache_hit_timeout", WithoutEffect(), "Wait for a fresh JWT-SVID."},
      {"ratelimit", NotSupported(), "Calls a second for each caller."},
      {"broker", NotSupported(), "The Broker API."},
      {"feature_flags", NotSupported(), "Features under development."},
      {"server_load_balancing_config", NotSupported(), "How to choose among upstreams."},
      {"rpc_timeout", WithoutEffect(), "Deadline of calls to the upstream."},
      {"max_bundle_workers", WithoutEffect(), "Federated bundles fetched at once."},
  };
}

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

OptionReader KeyManagers(AgentConfig& config) {
  using KeyManager = AgentConfig::KeyManager;
  return LabelledBlocks([&config](std::string_view label, const ConfigValue& block,
                                  std::string_view path, ConfigReport& report) {
    KeyManager chosen = KeyManager::kNone;
    if (label == "memory" && ReadPlugin(block, {}, path, report)) {
      chosen = KeyManager::kMemory;
    } else if (label == "disk" &&
               ReadPlugin(block,
                          {{"directory", Into(config.key_folder), "Folder of keys.json.", true}},
                          path, report)) {
      chosen = KeyManager::kDisk;
    } else if (label == "tpm" && ReadPlugin(block, TpmKeyOptions(config.key_tpm), path, report)) {
      chosen = KeyManager::kTpm;
    } else if (label != "memory" && label != "disk" && label != "tpm") {
      NoSuchPlugin(block, path, "\"disk\", \"memory\" or \"tpm\"", report);
    }
    if (chosen != KeyManager::kNone && config.key_manager != KeyManager::kNone) {
      report.AddError(block.position, fmt::format("{}: only one KeyManager can be used", path));
    } else if (chosen != KeyManager::kNone) {
      config.key_manager = chosen;
    }
  });
}

OptionReader WorkloadAttestors(AgentConfig& config) {
  return LabelledBlocks([&config](std::string_view label, const ConfigValue& block,
                                  std::string_view path, ConfigReport& report) {
    if (label != "unix") {
      NoSuchPlugin(block, path, "\"unix\"", report);
      return;
    }
    UnixAttestorConfig unix_config;
    const OptionTable options = {
        {"discover_workload_path", Into(unix_config.discover_workload_path),
         "Whether to say the path and the digest of the executable."},
        {"workload_size_limit",
         Into(unix_config.workload_size_limit, std::numeric_limits<int64_t>::min(), kNoLimit),
         "Largest executable to digest, in bytes; 0: any; below 0: none."},
    };
    if (ReadPlugin(block, options, path, report)) {
      config.unix_attestor = unix_config;
    }
  });
}

OptionTable PluginOptions(AgentConfig& config) {
  return {
      {"KeyManager", KeyManagers(config), "Where the agent's key is kept."},
      {"NodeAttestor", NodeAttestors(config), "How the node is proved to the upstream."},
      {"WorkloadAttestor", WorkloadAttestors(config), "How callers are proved."},
      {"SVIDStore", NotSupported(), "Stores outside that SVIDs are put into."},
  };
}

OptionTable TelemetryOptions() {
  return {
      {"Prometheus", NotSupported(), "Metrics for Prometheus."},
      {"DogStatsd", NotSupported(), "Metrics to DogStatsd."},
      {"Statsd", NotSupported(), "Metrics to Statsd."},
      {"M3", NotSupported(), "Metrics to M3."},
      {"InMem", WithoutEffect(), "Metrics in memory."},
      {"MetricPrefix", WithoutEffect(), "Prefix of metrics."},
      {"EnableTrustDomainLabel", WithoutEffect(), "Label of metrics."},
      {"EnableHostnameLabel", WithoutEffect(), "Label of metrics."},
      {"AllowedPrefixes", WithoutEffect(), "Filter of metrics."},
      {"BlockedPrefixes", WithoutEffect(), "Filter of metrics."},
      {"AllowedLabels", WithoutEffect(), "Filter of metrics."},
      {"BlockedLabels", WithoutEffect(), "Filter of metrics."},
  };
}

OptionTable HealthOptions() {
  return {
      {"listener_enabled", NotSupported(), "Health over HTTP."},
      {"bind_address", WithoutEffect(), "Its address."},
      {"bind_port", WithoutEffect(), "Its port."},
      {"live_path", WithoutEffect(), "Its path for liveness."},
      {"ready_path", WithoutEffect(), "Its path for readiness."},
  };
}

}  // namespace

OptionTable RootOptions(AgentConfig& config, bool& has_plugins) {
  return {
      {"agent", Section(AgentOptions(config)), "The agent itself."},
      {"plugins", Section(PluginOptions(config), has_plugins), "What it is built of."},
      {"telemetry", Section(TelemetryOptions()), "Metrics."},
      {"health_checks", Section(HealthOptions()), "Health over HTTP."},
  };
}

OptionTable AgentOptions(AgentConfig& config) {
  using crypto::KeyType;
  return {
      {"trust_domain", Into(config.trust_domain), "The trust domain of the agent."},
      {"server_address", Into(config.server_address), "Name or address of the upstream."},
      {"server_port", Into(config.server_port), "Port of the upstream."},
      {"data_dir", Into(config.data_dir), "Folder of the agent's state."},
      {"socket_path", Into(config.socket_path), "The Workload API's socket."},
      {"admin_socket_path", Into(config.admin_socket_path), "The admin APIs' socket."},
      {"disable_workload_api", NotSupported(), "No Workload API."},
      {"disable_sds_api", OnlyOneOf({"true", "false"}), "No SDS API."},
      {"trust_bundle_path", Into(config.trust_bundle_path), "Trust bundle for the first contact."},
      {"trust_bundle_format",
       OneOf<BundleFormat>(config.trust_bundle_format,
                           {{"pem", BundleFormat::kPem}, {"spiffe", BundleFormat::kSpiffe}}),
       "Its format."},
      {"trust_bundle_url", NotSupported(), "The same over https."},
      {"trust_bundle_unix_socket", NotSupported(), "The same over a Unix socket."},
      {"trust_bundle_spiffe_workload_api", NotSupported(), "The same from another agent."},
      {"insecure_bootstrap", Into(config.insecure_bootstrap),
       "Trust any upstream at the first contact."},
      {"rebootstrap_mode", OnlyOneOf({"never"}), "When to drop the trust bundle and begin again."},
      {"rebootstrap_delay", WithoutEffect(), "How long to wait before that."},
      {"join_token", Into(config.join_token), "A join token."},
      {"join_token_file", Into(config.join_token_file), "A file with a join token."},
      {"log_level", LogLevel(config.log.level), "debug, info, warn or error."},
      {"log_format",
       OneOf<log::Format>(config.log.format,
                          {{"text", log::Format::kText}, {"json", log::Format::kJson}}),
       "text or json."},
      {"log_file", Into(config.log.file), "File to log to."},
      {"log_source_location", WithoutEffect(), "The place in the source in log lines."},
      {"log_selectors", WithoutEffect(), "Selectors that may be logged."},
      {"workload_x509_svid_key_type",
       OneOf<KeyType>(config.workload_x509_svid_key_type, {{"ec-p256", KeyType::kEcP256},
                                                           {"ec-p384", KeyType::kEcP384},
                                                           {"rsa-2048", KeyType::kRsa2048}}),
       "Type of the workloads' keys."},
      {"availability_target", Into(config.availability_target),
       "How long X509-SVIDs should last without the upstream."},
      {"x509_svid_cache_max_size", CacheSize(config.x509_svid_cache_max_size),
       "How many X509-SVIDs to have ready."},
      {"jwt_svid_cache_max_size", WithoutEffect(), "How many JWT-SVIDs to keep."},
      {"allow_unauthenticated_verifiers", Into(config.allow_unauthenticated_verifiers),
       "Trust bundles for callers without an identity."},
      {"allowed_foreign_jwt_claims", WithoutEffect(), "Claims shown of foreign JWT-SVIDs."},
      {"authorized_delegates", NotSupported(), "Who may use the Delegated Identity API."},
      {"sds", Section(SdsOptions()), "Names in SDS."},
      {"profiling_enabled", WithoutEffect(), "Profiles of the process."},
      {"profiling_port", WithoutEffect(), "Their port."},
      {"profiling_freq", WithoutEffect(), "How often they are written."},
      {"profiling_names", WithoutEffect(), "Which are written."},
      {"experimental", Section(ExperimentalOptions(config)), "What may change."},
  };
}

}  // namespace assay
