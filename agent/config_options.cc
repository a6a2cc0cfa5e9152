// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_options.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "agent/config_listeners.h"

namespace assay {
namespace {

constexpr int kMostSvids = 1'000'000;

// gRPC's list of load balancing policies as JSON, of which the first counts here. Calls go to one
// upstream as long as it answers.
OptionReader LoadBalancing() {
  return {[](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const std::optional<std::string> text = TextOf(value, path, report);
            if (!text.has_value() || text->empty()) {
              return;
            }
            using nlohmann::json;
            const json document = json::parse(*text, nullptr, /*allow_exceptions=*/false);
            const auto at = document.find("loadBalancingConfig");
            const json& list = at == document.end() ? document : *at;
            if (!list.is_array() || list.empty() || !list[0].is_object() || list[0].size() != 1) {
              report.AddError(
                  value.position,
                  fmt::format("{} is no list of policies, as [{{\"pick_first\": {{}}}}]", path));
              return;
            }
            if (const std::string policy = list[0].begin().key(); policy == "round_robin") {
              report.AddWarning(value.position,
                                fmt::format("{}: round_robin has no effect: calls go to one "
                                            "upstream as long as it answers",
                                            path));
            } else if (policy != "pick_first") {
              report.AddError(value.position,
                              fmt::format("{}: policy {} is not supported, only pick_first is",
                                          path, Quoted(policy)));
            }
          },
          {.kind = "text"}};
}

// A text, or a list of them.
OptionReader OneOrMore(std::vector<std::string>& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (value.kind == ConfigValue::Kind::kList) {
              Into(field)(value, path, report);
            } else if (auto text = TextOf(value, path, report); text.has_value()) {
              field = {*std::move(text)};
            }
          },
          {.kind = "text or list of texts"}};
}

// A number of entries, where 0 and less stand for the default.
OptionReader CacheSize(int& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            int size = 0;
            Into(size, std::numeric_limits<int>::min(), kMostSvids)(value, path, report);
            if (size > 0) {
              field = size;
            }
          },
          {.kind = "number", .initial = fmt::format("{}", field)}};
}

// Within what serve has any caller wait, and long enough for an upstream that is slow. An empty
// text stands for the default.
OptionReader CacheHitTimeout(std::optional<absl::Duration>& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (value.kind == ConfigValue::Kind::kString && value.text.empty()) {
              return;
            }
            absl::Duration timeout = absl::Seconds(5);
            Into(timeout)(value, path, report);
            if (timeout < absl::Seconds(5) || timeout >= absl::Seconds(30)) {
              report.AddError(value.position,
                              fmt::format("{} must be at least 5s and less than 30s", path));
            }
            field = timeout;
          },
          {.kind = "duration"}};
}

constexpr std::string_view kNoProfiles =
    "Go's profiler is not in this program; perf and heaptrack look into it";

OptionTable SdsTable(SdsOptions& sds) {
  return {
      {"default_svid_name", Into(sds.default_svid_name), "SDS name of the first X509-SVID."},
      {"default_bundle_name", Into(sds.default_bundle_name), "SDS name of the own trust bundle."},
      {"default_all_bundles_name", Into(sds.default_all_bundles_name),
       "SDS name of all trust bundles; Envoy's SPIFFE validator alone can use them."},
      {"disable_spiffe_cert_validation", Into(sds.disable_spiffe_cert_validation),
       "Plain CA validation in place of Envoy's SPIFFE validator, unless a node says otherwise."},
  };
}

OptionTable AuditLogTable(AuditLogConfig& audit_log) {
  using When = AuditLogConfig::WhenUnwritable;
  return {
      {.name = "file",
       .read = Into(audit_log.file),
       .doc = "Its file, opened anew at SIGHUP and SIGUSR2 after a rotation has moved it.",
       .required = true},
      {"when_unwritable",
       OneOf<When>(audit_log.when_unwritable, {{"refuse", When::kRefuse}, {"serve", When::kServe}}),
       "What callers get while it cannot be written to: nothing, or keys and tokens all the same."},
  };
}

OptionTable ExperimentalOptions(AgentConfig& config) {
  return {
      {.name = "sync_interval",
       .read = Into(config.sync_interval),
       .doc = "How often to sync with the upstream.",
       .reloads = true},
      {"use_sync_authorized_entries", Into(config.use_sync_authorized_entries),
       "Whether entries are synced by their changes."},
      {"require_pq_kem", Into(config.require_pq_kem),
       "Post-quantum key exchange with the upstream alone."},
      {.name = "jwt_svid_cache_hit_timeout",
       .read = CacheHitTimeout(config.jwt_svid_cache_hit_timeout),
       .doc = "How long who has a JWT-SVID that is past half of its life waits for a newer one: at "
              "least 5s, less than 30s; absent: 1s.",
       .reloads = true},
      {"ratelimit", NotSupported(), "Calls a second for each caller."},
      {"broker", NotSupported(), "The Broker API."},
      {"feature_flags", NotSupported(), "Features under development."},
      {"server_load_balancing_config", LoadBalancing(),
       "gRPC's load balancing policies as JSON: `pick_first` alone; `round_robin` has no effect."},
      {"rpc_timeout", Into(config.rpc_timeout),
       "Time that a call to the upstream may take, connecting included."},
      {"max_bundle_workers", WithoutEffect("each is fetched apart, one after the other"),
       "Federated bundles fetched at once."},
  };
}

}  // namespace

OptionTable RootOptions(AgentConfig& config, bool& has_plugins, PluginFiles& files) {
  return {
      {"agent", Section(AgentOptions(config)), "The agent itself."},
      {"plugins", Section(PluginOptions(config, files), has_plugins), "What it is built of."},
      {"telemetry", Section(TelemetryOptions(config.telemetry)), "Metrics."},
      {"health_checks", Section(HealthOptions(config.health)), "Health over HTTP."},
  };
}

OptionTable AgentOptions(AgentConfig& config) {
  using crypto::KeyType;
  return {
      {"trust_domain", Into(config.trust_domain), "The trust domain of the agent."},
      {"server_address", OneOrMore(config.server_addresses),
       "Name or address of the upstream; a list: the first that can be used."},
      {"server_port", Into(config.server_port), "Port of the upstream."},
      {"data_dir", Into(config.data_dir), "Folder of the agent's state."},
      {"socket_path", Into(config.socket_path), "The Workload API's socket."},
      {"admin_socket_path", Into(config.admin_socket_path), "The admin APIs' socket."},
      {"disable_workload_api", Into(config.disable_workload_api), "No Workload API."},
      {"disable_sds_api", Into(config.disable_sds_api),
       "No SDS API; with disable_workload_api no public socket either."},
      {"trust_bundle_path", Into(config.trust_bundle_path), "Trust bundle for the first contact."},
      {"trust_bundle_format",
       OneOf<BundleFormat>(config.trust_bundle_format,
                           {{"pem", BundleFormat::kPem}, {"spiffe", BundleFormat::kSpiffe}}),
       "Its format."},
      {"trust_bundle_url", Into(config.trust_bundle_url), "The same over https."},
      {"trust_bundle_unix_socket", Into(config.trust_bundle_unix_socket),
       "Unix socket of the HTTP server of trust_bundle_url."},
      {"trust_bundle_spiffe_workload_api", Into(config.trust_bundle_spiffe_workload_api),
       "The same from another agent's Workload API."},
      {"insecure_bootstrap", Into(config.insecure_bootstrap),
       "Trust any upstream at the first contact."},
      {"rebootstrap_mode",
       OneOf<RebootstrapMode>(config.rebootstrap_mode, {{"never", RebootstrapMode::kNever},
                                                        {"auto", RebootstrapMode::kAuto},
                                                        {"always", RebootstrapMode::kAlways}}),
       "When to drop the trust bundle and begin again."},
      {"rebootstrap_delay", Into(config.rebootstrap_delay), "How long to wait before that."},
      {"join_token", Into(config.join_token), "A join token."},
      {"join_token_file", Into(config.join_token_file), "A file with a join token."},
      {.name = "log_level",
       .read = Into(config.log.level),
       .doc = "The least that is logged.",
       .reloads = true},
      {.name = "log_format",
       .read = OneOf<log::Format>(
           config.log.format, {{"text", log::Format::kPreciseText}, {"json", log::Format::kJson}}),
       .doc = "The form of log lines; absent: text with whole seconds.",
       .reloads = true},
      {"log_file", Into(config.log.file),
       "File to log to, opened anew at SIGUSR2; absent: standard output."},
      {.name = "log_source_location",
       .read = Into(config.log.source_location),
       .doc = "The place in the source in log lines.",
       .reloads = true},
      {"audit_log", Section(AuditLogTable(config.audit_log)),
       "A line for each key and token that is handed out; absent: none. spire-agent has no such "
       "block."},
      {.name = "log_selectors",
       .read = Into(config.log_selectors),
       .doc = "What a selector may begin with that is logged of a caller without an identity.",
       .reloads = true},
      {.name = "workload_x509_svid_key_type",
       .read =
           OneOf<KeyType>(config.workload_x509_svid_key_type, {{"ec-p256", KeyType::kEcP256},
                                                               {"ec-p384", KeyType::kEcP384},
                                                               {"rsa-2048", KeyType::kRsa2048}}),
       .doc = "Type of the workloads' keys; a new one is for keys made from then on.",
       .reloads = true},
      {.name = "availability_target",
       .read = Into(config.availability_target),
       .doc = "How long X509-SVIDs should last without the upstream.",
       .reloads = true},
      {.name = "x509_svid_cache_max_size",
       .read = CacheSize(config.x509_svid_cache_max_size),
       .doc = "How many X509-SVIDs to have ready; those for stores do not count.",
       .reloads = true},
      {.name = "jwt_svid_cache_max_size",
       .read = CacheSize(config.jwt_svid_cache_max_size),
       .doc = "How many JWT-SVIDs to keep; the least recently used of who has most go.",
       .reloads = true},
      {.name = "allow_unauthenticated_verifiers",
       .read = Into(config.allow_unauthenticated_verifiers),
       .doc = "Trust bundles for callers without an identity.",
       .reloads = true},
      {.name = "allowed_foreign_jwt_claims",
       .read = Into(config.allowed_foreign_jwt_claims),
       .doc = "Claims told of other trust domains' JWT-SVIDs, besides sub, aud and exp.",
       .reloads = true},
      {.name = "authorized_delegates",
       .read = Into(config.authorized_delegates),
       .doc =
           "SPIFFE IDs of the own trust domain whose holders may use the Delegated Identity API.",
       .reloads = true},
      {"sds", Section(SdsTable(config.sds)), "Names in SDS, and what proxies verify by."},
      {"profiling_enabled", WithoutEffect(kNoProfiles), "Profiles of the process."},
      {"profiling_port", WithoutEffect(kNoProfiles), "Their port."},
      {"profiling_freq", WithoutEffect(kNoProfiles), "How often they are written."},
      {"profiling_names", WithoutEffect(kNoProfiles), "Which are written."},
      {"experimental", Section(ExperimentalOptions(config)), "What may change."},
  };
}

}  // namespace assay
