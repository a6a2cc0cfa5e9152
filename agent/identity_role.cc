// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_role.h"

#include <malloc.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/config.h"
#include "agent/config_arguments.h"
#include "agent/identity_attestor.h"
#include "agent/identity_bootstrap.h"
#include "agent/identity_core.h"
#include "agent/identity_disk.h"
#include "agent/identity_keys.h"
#include "agent/identity_keys_tpm.h"
#include "agent/identity_listeners.h"
#include "agent/identity_measured_upstream.h"
#include "agent/identity_node.h"
#include "agent/identity_plugins.h"
#include "agent/metrics.h"
#include "agent/role_context.h"
#include "agent/roles.h"
#include "agent/version.h"
#include "agent/worker_threads.h"
#include "assay/roles.pb.h"
#include "base/files.h"
#include "base/log.h"
#include "crypto/curve_tables.h"
#include "tpm/lazy_tpm.h"
#include "upstream/upstream.h"

namespace assay {
namespace {

// Jobs that wait for a thread; there is at most one of each kind.
constexpr size_t kMaxQueuedJobs = 16;
constexpr std::string_view kRefusedPasswordsName = "/tpm-devid-refused";
constexpr std::string_view kTpmKeysName = "/tpm-agent-keys";

BootstrapSource BootstrapSourceOf(const AgentConfig& config, const TrustDomain& trust_domain) {
  return BootstrapSource({.trust_domain = trust_domain,
                          .server_address = config.server_addresses.front(),
                          .server_port = config.server_port,
                          .path = config.trust_bundle_path,
                          .url = config.trust_bundle_url,
                          .unix_socket = config.trust_bundle_unix_socket,
                          .workload_api = config.trust_bundle_spiffe_workload_api,
                          .format = config.trust_bundle_format});
}

// The TPM of the attestor and of the key manager, which are of the same one.
std::shared_ptr<tpm::LazyTpm> MakeTpm(const AgentConfig& config,
                                      const std::shared_ptr<Metrics>& metrics) {
  const bool is_for_key = config.key_manager == AgentConfig::KeyManager::kTpm;
  return std::make_shared<tpm::LazyTpm>(tpm::Tpm::Options{
      .device = is_for_key ? config.key_tpm.tpm_device_path : config.tpm_devid.tpm_device_path,
      .refused_passwords_path = config.data_dir + std::string(kRefusedPasswordsName),
      .observe = [metrics](std::string_view operation, const absl::Status& status,
                           absl::Duration time) { metrics->NoteTpm(operation, status, time); }});
}

std::string HostName() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::shared_ptr<Metrics> MakeMetrics(const AgentConfig& config, const TrustDomain& trust_domain) {
  return std::make_shared<Metrics>(Metrics::Options{.config = config.telemetry,
                                                    .trust_domain = trust_domain.name(),
                                                    .host = HostName(),
                                                    .version = std::string(kVersion),
                                                    .attestor = AttestorName(config)});
}

std::unique_ptr<AgentKeys> MakeKeys(const AgentConfig& config,
                                    const std::shared_ptr<tpm::LazyTpm>& tpm) {
  switch (config.key_manager) {
    case AgentConfig::KeyManager::kDisk:
      return MakeDiskKeys(config.key_folder);
    case AgentConfig::KeyManager::kTpm:
      return MakeTpmKeys(
          {.tpm = tpm,
           .path = config.data_dir + std::string(kTpmKeysName),
           .type = config.key_tpm.key_type,
           .owner_hierarchy_password = config.key_tpm.owner_hierarchy_password.Clone()});
    case AgentConfig::KeyManager::kMemory:
    case AgentConfig::KeyManager::kNone:
      break;
  }
  return MakeMemoryKeys();
}

// A join token is gone with its first use, and without a bundle to begin with nobody would do.
AgentDisk::Unreadable WhenUnreadable(const AgentConfig& config) {
  return config.node_attestor == AgentConfig::Attestor::kJoinToken || config.insecure_bootstrap
             ? AgentDisk::Unreadable::kIsAnError
             : AgentDisk::Unreadable::kIsSetAside;
}

// The job, and then the memory given back that it had for its work: a thread's tables of curves
// alone are several megabytes, and jobs are seldom.
std::function<void()> Tidied(std::function<void()> job) {
  return [job = std::move(job)] {
    job();
    crypto::FreeCurveTables();
    malloc_trim(0);
  };
}

IdentityCore::Options CoreOptions(const AgentConfig& config, const TrustDomain& trust_domain,
                                  bool has_served) {
  return {.trust_domain = trust_domain,
          .key_type = config.workload_x509_svid_key_type,
          .availability_target = config.availability_target,
          .cache_size = static_cast<size_t>(config.x509_svid_cache_max_size),
          .jwt_cache_size = static_cast<size_t>(config.jwt_svid_cache_max_size),
          .sync_interval = config.sync_interval,
          .rebootstrap_mode = config.rebootstrap_mode,
          .has_served = has_served,
          .has_stores = config.HasExternal(PluginType::kSvidStore)};
}

absl::StatusOr<AgentConfig> ParseStart(const roles::IdentityStart& start) {
  const auto read = [&start](const std::string& name) -> absl::StatusOr<Secret> {
    const auto file = start.files().find(name);
    if (file == start.files().end()) {
      return NotFound("{} was not read by the monitor", name);
    }
    return Secret(file->second);
  };
  ASSIGN_OR_RETURN(
      AgentConfig config,
      ParseAgentConfig(start.config_name(), start.config_text(),
                       std::vector<std::string>(start.arguments().begin(), start.arguments().end()),
                       read));
  if (const auto host_key = start.files().find(config.sshpop.host_key_path);
      host_key != start.files().end()) {
    config.ssh_host_key = Secret(host_key->second);
  }
  return config;
}

// Everything that needs the configuration, in the order of its making.
struct Identity {
  Identity(RoleContext& context, const roles::IdentityStart& start, AgentConfig the_config,
           const TrustDomain& own_domain)
      : trust_domain(own_domain),
        attestor_config(std::make_shared<const AgentConfig>(std::move(the_config))),
        bootstrap(BootstrapSourceOf(config, trust_domain)),
        metrics(MakeMetrics(config, trust_domain)),
        tpm(MakeTpm(config, metrics)),
        plugins(context, config),
        upstream(MakeUpstream({.addresses = config.server_addresses,
                               .port = config.server_port,
                               .trust_domain = trust_domain,
                               .use_sync_authorized_entries = config.use_sync_authorized_entries,
                               .call_deadline = config.rpc_timeout,
                               .require_post_quantum = config.require_pq_kem,
                               .insecure_bootstrap = config.insecure_bootstrap},
                              context.clock()),
                 *metrics, context.clock(),
                 [this](const std::optional<X509Svid>& svid) { listeners.tls().SetSvid(svid); }),
        disk(config.data_dir, MakeMeasuredKeys(MakeKeys(config, tpm), *metrics, context.clock()),
             WhenUnreadable(config),
             config.insecure_bootstrap ? AgentDisk::LostBundle::kIsAnError
                                       : AgentDisk::LostBundle::kCountsAsNone),
        node({.trust_domain = trust_domain,
              .fetch_bootstrap =
                  [this](const BootstrapAttempt& attempt) { return bootstrap.Fetch(attempt); },
              .rebootstrap_after = config.rebootstrap_mode == RebootstrapMode::kNever
                                       ? std::nullopt
                                       : std::optional(config.rebootstrap_delay),
              .keys_in_memory = config.key_manager == AgentConfig::KeyManager::kMemory,
              .make_attestor =
                  [this] {
                    return MakeNodeAttestor(*attestor_config, tpm, plugins.node_attestor());
                  }},
             upstream, disk, context.clock()),
        core(CoreOptions(config, trust_domain, start.has_served()),
             {.loop = context.loop(),
              .clock = context.clock(),
              .upstream = upstream,
              .node = node,
              .run_sync = [this](auto job) { sync_thread.Run(0, Tidied(std::move(job))); },
              .run_signing = [this](auto job) { signing_thread.Run(0, Tidied(std::move(job))); },
              .run_bundles = [this](auto job) { bundle_thread.Run(0, Tidied(std::move(job))); },
              .run_minting = [this](auto job) { minting_threads.Run(0, std::move(job)); },
              .random = SystemRandom(),
              .on_serving = [&context] { context.Ready(); },
              .on_exit = [&context](int code,
                                    std::string_view reason) { context.ExitAgent(code, reason); },
              .on_serve_ended =
                  [&context](const absl::Status& why) { context.LinkEnded(roles::SERVE, why); },
              .on_state =
                  [this](const StateToServe& state) {
                    plugins.OnState(state);
                    listeners.tls().SetBundles(state.bundles);
                  }}),
        listeners(
            {.loop = context.loop(), .clock = context.clock(), .core = core, .metrics = *metrics},
            config) {}

  // Another NodeAttestor, and all else that is not named here, needs a restart.
  void Reload(AgentConfig next) {
    core.Tune(CoreOptions(next, trust_domain, /*has_served=*/true));
    if (next.node_attestor != config.node_attestor) {
      return;
    }
    // Of what attestors are made of, these need one too.
    next.data_dir = config.data_dir;
    next.join_token = config.join_token.Clone();
    next.join_token_file = config.join_token_file;
    next.tpm_devid.tpm_device_path = config.tpm_devid.tpm_device_path;
    sync_thread.Run(0, [this, made = std::make_shared<const AgentConfig>(std::move(next))] {
      node.DropAttestor();
      attestor_config = made;
    });
  }

  const TrustDomain trust_domain;
  // The next attestor is made of the newest configuration; used by sync jobs alone.
  std::shared_ptr<const AgentConfig> attestor_config;
  const std::shared_ptr<const AgentConfig> first_config = attestor_config;
  const AgentConfig& config = *first_config;
  const BootstrapSource bootstrap;
  const std::shared_ptr<Metrics> metrics;   // The TPM's thread has it too.
  const std::shared_ptr<tpm::LazyTpm> tpm;  // Before what signs with it.
  IdentityPlugins plugins;
  MeasuredUpstream upstream;
  AgentDisk disk;
  NodeIdentity node;
  IdentityCore core;
  IdentityListeners listeners;
  // Last, so that their jobs end before what these use.
  WorkerThreads sync_thread{1, kMaxQueuedJobs};
  WorkerThreads signing_thread{1, kMaxQueuedJobs};
  WorkerThreads bundle_thread{1, kMaxQueuedJobs};
  WorkerThreads minting_threads{JwtMinter::kMostAway, kMaxQueuedJobs};
};

class IdentityRole final : public RoleBody {
 public:
  explicit IdentityRole(RoleContext& context) : context_(context) {}

  absl::Status OnStart(const roles::Start& start) override;
  absl::Status OnReload(const roles::Start& start) override;
  absl::Status OnLink(roles::Role peer, UniqueFd channel) override;
  absl::Status OnPluginLink(uint32_t plugin, UniqueFd channel) override {
    return identity_.has_value() ? identity_->plugins.OnLink(plugin, std::move(channel))
                                 : absl::OkStatus();
  }
  absl::Status OnListen(roles::Endpoint endpoint, UniqueFd listener) override {
    return identity_.has_value() ? identity_->listeners.Listen(endpoint, std::move(listener))
                                 : absl::OkStatus();
  }
  // Whether something would have to be waited for before it can die.
  bool is_busy() {
    return identity_.has_value() && (identity_->core.is_busy() || identity_->plugins.is_busy() ||
                                     !identity_->listeners.Stop());
  }

 private:
  absl::Status Begin(const roles::IdentityStart& start);

  RoleContext& context_;
  std::optional<Identity> identity_;
};

absl::Status IdentityRole::OnStart(const roles::Start& start) {
  const absl::Status begun = Begin(start.identity());
  if (!begun.ok() && start.identity().has_served()) {
    // Callers are still served what is known, and a file may come back: this process alone ends.
    return begun;
  }
  // What is wrong now is wrong after a restart of this process too: the whole agent ends.
  if (!begun.ok()) {
    log::Error("Agent cannot start", {{"error", begun}});
    context_.ExitAgent(1, Message(begun));
  }
  return absl::OkStatus();
}

absl::Status IdentityRole::Begin(const roles::IdentityStart& start) {
  ASSIGN_OR_RETURN(AgentConfig config, ParseStart(start));
  log::Info("Starting agent", {{"data_dir", config.data_dir}, {"version", kVersion}});
  for (const std::string& warning : config.warnings) {
    log::Warn("Configuration", {{"warning", warning}});
  }
  ASSIGN_OR_RETURN(const TrustDomain trust_domain, TrustDomain::Parse(config.trust_domain));
  identity_.emplace(context_, start, std::move(config), trust_domain);
  identity_->core.Start();
  return absl::OkStatus();
}

absl::Status IdentityRole::OnReload(const roles::Start& start) {
  if (!identity_.has_value()) {
    return absl::OkStatus();
  }
  // The monitor has found it valid.
  ASSIGN_OR_RETURN(AgentConfig config, ParseStart(start.identity()));
  identity_->Reload(std::move(config));
  return absl::OkStatus();
}

absl::Status IdentityRole::OnLink(roles::Role peer, UniqueFd channel) {
  if (peer != roles::SERVE) {
    return PermissionDenied("the identity role is not linked to role {}", static_cast<int>(peer));
  }
  return identity_.has_value() ? identity_->core.LinkServe(std::move(channel)) : absl::OkStatus();
}

}  // namespace

int RunIdentity(UniqueFd control) {
  absl::StatusOr<std::unique_ptr<RoleContext>> context =
      RoleContext::Create(roles::IDENTITY, std::move(control));
  if (!context.ok()) {
    log::Error("Role failed", {{"role", "identity"}, {"error", context.status()}});
    return 1;
  }
  IdentityRole role(**context);
  const int status = (*context)->Run(role);
  if (role.is_busy()) {
    // A call of the upstream may take half a minute to fail, a TPM two to sign, and nobody waits
    // for it any more. What is on disk is always whole.
    _exit(status);
  }
  return status;
}

}  // namespace assay
