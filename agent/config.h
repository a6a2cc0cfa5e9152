// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's configuration: one struct with the defaults beside the fields, read from
// spire-agent's file format with its option names. The command line overrides the file, the file
// the defaults.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attestors/node/aws_iid.h"
#include "attestors/node/azure_imds.h"
#include "attestors/node/gcp_iit.h"
#include "attestors/node/http_challenge.h"
#include "attestors/node/k8s_psat.h"
#include "attestors/node/sshpop.h"
#include "attestors/node/x509pop.h"
#include "base/log.h"
#include "base/option_table.h"
#include "base/secret.h"
#include "base/status.h"
#include "crypto/key.h"
#include "plugins/plugin_type.h"
#include "spiffe/trust_domain.h"
#include "workload-api/sds_options.h"

namespace assay {

constexpr std::string_view kDefaultConfigPath = "conf/agent/agent.conf";
constexpr std::string_view kDefaultSocketPath = "/tmp/spire-agent/public/api.sock";

enum class BundleFormat { kPem, kSpiffe };
// Whether to begin anew from the bootstrap bundle once the upstream is signed by an authority that
// the known bundle does not have; kAlways insists on a node that can be attested again.
enum class RebootstrapMode { kNever, kAuto, kAlways };

// NodeAttestor "tpm_devid".
struct TpmDevidConfig {
  std::string tpm_device_path;  // Empty: the machine's only TPM.
  std::string devid_cert_path;
  std::string devid_priv_path;
  std::string devid_pub_path;
  Secret devid_password;
  Secret owner_hierarchy_password;
  Secret endorsement_hierarchy_password;
};

// KeyManager "tpm".
struct TpmKeyManagerConfig {
  std::string tpm_device_path;  // Empty: the machine's only TPM.
  Secret owner_hierarchy_password;
  crypto::KeyType key_type = crypto::KeyType::kEcP256;
};

// WorkloadAttestor "unix".
struct UnixAttestorConfig {
  bool discover_workload_path = false;
  int64_t workload_size_limit = 0;  // Bytes; 0: no limit; below 0: never hash.
};

// A file that a plugin_data_file names, as it was read.
struct PluginFile {
  std::string name;
  std::string option;  // The path of the plugin_data_file.
  // What it holds, to compare it by alone; null: text, of which any change is taken up.
  std::shared_ptr<const OptionTable> options;
  Secret text;
};

// A plugin that is a program of its own.
struct ExternalPlugin {
  PluginName plugin;
  std::string command;
  std::vector<std::string> arguments;
  std::string checksum;        // Hex of SHA-256; empty: any.
  std::string user;            // Empty: who starts the agent.
  std::optional<Secret> data;  // Its own options as HCL; none where they are empty.
  bool data_in_file = false;   // They come from a plugin_data_file, which is read anew.
  bool enabled = true;         // As in its block; those that are not are left out.
};

// Health over HTTP.
struct HealthConfig {
  bool listener_enabled = false;
  std::string bind_address = "localhost";
  uint16_t bind_port = 80;
  std::string live_path = "/live";
  std::string ready_path = "/ready";
};

// Metrics for Prometheus over HTTP.
struct PrometheusConfig {
  struct Tls {
    bool enabled = false;
    std::string cert_file, key_file;  // Both, unless the agent's SVID is shown.
    bool use_spire_svid = false;
    std::string client_ca_file;                      // Empty: callers need no certificate for it.
    std::vector<std::string> authorized_spiffe_ids;  // Empty: nor an SVID.
  };
  bool enabled = false;
  std::string host = "localhost";
  uint16_t port = 0;
  Tls tls;
};

struct TelemetryConfig {
  PrometheusConfig prometheus;
  std::string metric_prefix = "spire_agent";
  bool enable_trust_domain_label = false;
  bool enable_hostname_label = true;
  // Of "PREFIX.name", with dots where names have parts; the longest that fits decides.
  std::vector<std::string> allowed_prefixes, blocked_prefixes;
  std::vector<std::string> allowed_labels, blocked_labels;  // Allowed: empty for all.
};

// Block "audit_log".
struct AuditLogConfig {
  enum class WhenUnwritable { kRefuse, kServe };
  std::string file;  // Empty: there is none.
  WhenUnwritable when_unwritable = WhenUnwritable::kRefuse;
};

struct AgentConfig {
  std::string trust_domain;
  std::vector<std::string> server_addresses;  // The first is used while it can be.
  uint16_t server_port = 0;

  std::string data_dir = ".";
  std::string socket_path{kDefaultSocketPath};
  std::string admin_socket_path;  // Empty: no admin socket.

  // At most one way to trust the upstream at the first contact.
  std::string trust_bundle_path;
  std::string trust_bundle_url;
  std::string trust_bundle_unix_socket;  // The server of trust_bundle_url; empty: its host.
  std::string trust_bundle_spiffe_workload_api;
  BundleFormat trust_bundle_format = BundleFormat::kPem;  // Of path and url.
  bool insecure_bootstrap = false;
  RebootstrapMode rebootstrap_mode = RebootstrapMode::kNever;
  absl::Duration rebootstrap_delay = absl::Minutes(10);

  Secret join_token;
  std::string join_token_file;

  log::Options log;
  AuditLogConfig audit_log;

  crypto::KeyType workload_x509_svid_key_type = crypto::KeyType::kEcP256;
  std::optional<absl::Duration> availability_target;
  int x509_svid_cache_max_size = 1000;
  int jwt_svid_cache_max_size = 1000;
  std::optional<absl::Duration> jwt_svid_cache_hit_timeout;
  bool allow_unauthenticated_verifiers = false;
  std::vector<std::string> allowed_foreign_jwt_claims;
  std::vector<std::string> authorized_delegates;  // SPIFFE IDs of the own trust domain.
  bool disable_workload_api = false, disable_sds_api = false;
  SdsOptions sds;
  std::vector<std::string> log_selectors;  // "unix:uid": those of refused callers that are logged.
  absl::Duration sync_interval = absl::Seconds(5);
  absl::Duration rpc_timeout = absl::Seconds(30);
  bool use_sync_authorized_entries = true;
  bool require_pq_kem = false;

  // When none is named: kTpm where the node attestor is tpm_devid, else an error.
  enum class KeyManager { kNone, kMemory, kDisk, kTpm };
  KeyManager key_manager = KeyManager::kNone;
  std::string key_folder;  // KeyManager "disk": where keys.json is.
  // Beside tpm_devid: the same TPM, and its passwords where none are given here.
  TpmKeyManagerConfig key_tpm;

  enum class Attestor {
    kNone,
    kJoinToken,
    kTpmDevid,
    kX509Pop,
    kK8sPsat,
    kSshPop,
    kHttpChallenge,
    kAwsIid,
    kGcpIit,
    kAzureImds,
    kPlugin
  };
  Attestor node_attestor = Attestor::kNone;
  TpmDevidConfig tpm_devid;
  X509PopOptions x509pop;
  K8sPsatOptions k8s_psat;
  SshPopOptions sshpop;
  Secret ssh_host_key;  // sshpop's, where the monitor has read it; empty: at its path.
  HttpChallengeOptions http_challenge;
  AwsIidOptions aws_iid;
  GcpIitOptions gcp_iit;
  AzureImdsOptions azure_imds;
  std::optional<UnixAttestorConfig> unix_attestor;

  // By their numbers, of which the first is 1. Of node attestors only the one that is used.
  std::vector<ExternalPlugin> external_plugins;

  std::vector<PluginFile> plugin_files;

  HealthConfig health;
  TelemetryConfig telemetry;

  // Where what callers may ask is served; empty: nothing is.
  std::string PublicSocket() const {
    return disable_workload_api && disable_sds_api ? std::string() : socket_path;
  }

  // What is accepted though it has no effect, for the log.
  std::vector<std::string> warnings;

  // Whether an external plugin of the type is configured.
  bool HasExternal(PluginType type) const;
};

// Options of the command line that stand for options of the file: {"trust_domain", "example.org"}.
using ConfigOverrides = std::vector<std::pair<std::string, std::string>>;

// The text of a file that a plugin_data_file names; as root, of one that nobody else could have put
// there (base/guarded_files.h).
using PluginFileReader = std::function<absl::StatusOr<Secret>(const std::string& name)>;
absl::StatusOr<Secret> ReadPluginFile(const std::string& name);

// The configuration of a text in HCL or JSON. All mistakes are found at once: InvalidArgument with
// one a line, each with its place or the name of its option.
absl::StatusOr<AgentConfig> ParseAgentConfig(std::string_view name, std::string_view text,
                                             const ConfigOverrides& overrides,
                                             const PluginFileReader& read = ReadPluginFile);

// What two texts of valid configurations differ in, without the options that are overridden.
std::vector<OptionChange> CompareAgentConfigs(std::string_view before, std::string_view after,
                                              const ConfigOverrides& overrides);
// The same of what a plugin_data_file held and holds now.
std::vector<OptionChange> ComparePluginFile(std::string_view before, const PluginFile& now);

// The text with $NAME and ${NAME} replaced by the variables of the environment; unset ones are
// empty.
std::string ExpandEnvironment(std::string_view text);

// Where a client finds the Workload API when no flag says: SPIRE_AGENT_PUBLIC_SOCKET, or with an
// instance SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE with the instance for its %i.
absl::StatusOr<std::string> ClientSocketPath(std::string_view instance);

}  // namespace assay
