// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/config_options.h"

#include "authority/config_node_attestors.h"

namespace assay {
namespace {

// A lifetime, which must be more than nothing.
OptionReader Lifetime(absl::Duration& field) {
  return [&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    Into(field)(value, path, report);
    if (field < absl::Seconds(1)) {
      report.AddError(value.position, fmt::format("{} must be at least 1s", path));
      field = absl::Seconds(1);
    }
  };
}
OptionReader Lifetime(std::optional<absl::Duration>& field) {
  return [&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    Lifetime(field.emplace(absl::Seconds(1)))(value, path, report);
  };
}

OptionReader KeyTypeInto(crypto::KeyType& field) {
  return OneOf(field, {{"ec-p256", crypto::KeyType::kEcP256},
                       {"ec-p384", crypto::KeyType::kEcP384},
                       {"rsa-2048", crypto::KeyType::kRsa2048},
                       {"rsa-4096", crypto::KeyType::kRsa4096}});
}
OptionReader KeyTypeInto(std::optional<crypto::KeyType>& field) {
  return [&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    KeyTypeInto(field.emplace(crypto::KeyType::kEcP256))(value, path, report);
  };
}

OptionTable CaSubjectOptions(AuthorityDraft& draft) {
  return {
      {"country", Into(draft.ca_country), "Countries of the CA's subject."},
      {"organization", Into(draft.ca_organization), "Organizations of the CA's subject."},
      {"common_name", Into(draft.ca_common_name), "Common name of the CA's subject."},
  };
}

OptionTable RateLimitOptions(AuthorityOptions& options) {
  return {
      {"attestation", Into(options.ratelimit_attestation), "One attestation a second an address."},
      {"signing", Into(options.ratelimit_signing), "500 signatures a second an address."},
  };
}

OptionTable ExperimentalOptions() {
  return {
      {"agent_spiffe_id_as_selector", NotSupported(), "The agent's ID as a node selector."},
      {"auth_opa_policy_engine", NotSupported(), "Authorization by a policy of one's own."},
      {"cache_reload_interval", WithoutEffect(), "Entries are always current."},
      {"full_cache_reload_interval", WithoutEffect(), "Entries are always current."},
      {"events_based_cache", WithoutEffect(), "Entries are always current."},
      {"prune_events_older_than", WithoutEffect(), "No events are kept."},
      {"event_timeout", WithoutEffect(), "No events are kept."},
      {"sql_transaction_timeout", WithoutEffect(), "No events are kept."},
      {"require_pq_kem", NotSupported(), "Post-quantum key exchange alone."},
      {"wit_key_type", WithoutEffect(), "No WIT-SVIDs are made."},
      {"wit_issuer", WithoutEffect(), "No WIT-SVIDs are made."},
      {"feature_flags", NotSupported(), "Developers' flags."},
      {"named_pipe_name", NotSupported(), "The API on a named pipe."},
  };
}

void ReadDataStore(AuthorityDraft& draft, std::string_view name, const ConfigValue& block,
                   std::string_view path, ConfigReport& report) {
  draft.has_data_store = true;
  if (name != "sql") {
    report.AddError(block.position, fmt::format("{} is not supported: use \"sql\"", path));
    return;
  }
  ReadPlugin(block,
             {{"database_type", Into(draft.database_type), "sqlite3."},
              {"connection_string", Into(draft.connection_string), "The database's file."},
              {"ro_connection_string", NotSupported(), "Of a replica."},
              {"root_ca_path", NotSupported(), "Of a database over the network."},
              {"client_cert_path", NotSupported(), "Of a database over the network."},
              {"client_key_path", NotSupported(), "Of a database over the network."},
              {"max_open_conns", WithoutEffect(), "Of a database over the network."},
              {"max_idle_conns", WithoutEffect(), "Of a database over the network."},
              {"conn_max_lifetime", WithoutEffect(), "Of a database over the network."},
              {"disable_migration", WithoutEffect(), "Of older versions."}},
             path, report);
  if (!draft.database_type.empty() && draft.database_type != "sqlite3") {
    report.AddError(block.position,
                    fmt::format("{}: database_type {} is not supported: only \"sqlite3\" is", path,
                                Quoted(draft.database_type)));
  }
}

void ReadKeyManager(AuthorityDraft& draft, std::string_view name, const ConfigValue& block,
                    std::string_view path, ConfigReport& report) {
  draft.has_key_manager = true;
  draft.options.keys_on_disk = name != "memory";
  if (name == "memory") {
    ReadPlugin(block, {}, path, report);
    return;
  }
  if (name != "disk") {
    report.AddError(block.position,
                    fmt::format("{} is not supported: use \"disk\" or \"memory\"", path));
    return;
  }
  ReadPlugin(block, {{"keys_path", Into(draft.keys_path), "The file of the keys."}}, path, report);
}

OptionTable PluginOptions(AuthorityDraft& draft) {
  // A node attests by what is configured, and by nothing else.
  draft.options.node_verifiers.join_token = false;
  const auto data_store = [&draft](std::string_view name, const ConfigValue& block,
                                   std::string_view path, ConfigReport& report) {
    ReadDataStore(draft, name, block, path, report);
  };
  const auto key_manager = [&draft](std::string_view name, const ConfigValue& block,
                                    std::string_view path, ConfigReport& report) {
    ReadKeyManager(draft, name, block, path, report);
  };
  const auto node_attestor = [&draft](std::string_view name, const ConfigValue& block,
                                      std::string_view path, ConfigReport& report) {
    ReadNodeAttestor(draft, name, block, path, report);
  };
  return {
      {"DataStore", LabelledBlocks(data_store), "Where entries and nodes are kept."},
      {"KeyManager", LabelledBlocks(key_manager), "Where the authorities' keys are kept."},
      {"NodeAttestor", LabelledBlocks(node_attestor), "How nodes prove themselves."},
      {"UpstreamAuthority", NotSupported(), "A CA above this one."},
      {"Notifier", NotSupported(), "Who is told of a new bundle."},
      {"BundlePublisher", NotSupported(), "Where bundles are published."},
      {"CredentialComposer", NotSupported(), "Changes to what is signed."},
  };
}

}  // namespace

void ReadPlugin(const ConfigValue& block, OptionTable data, std::string_view path,
                ConfigReport& report) {
  bool enabled = true;
  ReadOptions(block,
              {{"plugin_data", Section(std::move(data)), "The plugin's options."},
               {"plugin_cmd", NotSupported(), "A program of its own."},
               {"plugin_args", NotSupported(), "Of a program of its own."},
               {"plugin_checksum", NotSupported(), "Of a program of its own."},
               {"plugin_data_file", NotSupported(), "The plugin's options in a file."},
               {"enabled", Into(enabled), "Whether it is used."}},
              path, report);
}

bool IsEnabled(const ConfigValue& block) {
  const ConfigValue* enabled = block.Find("enabled");
  return enabled == nullptr ||
         (enabled->kind == ConfigValue::Kind::kBool ? enabled->boolean : enabled->text != "false");
}

OptionTable AuthorityServerOptions(AuthorityDraft& draft) {
  AuthorityOptions& options = draft.options;
  return {
      {"admin_ids", NotSupported(), "Foreign SPIFFE IDs that may administer."},
      {"agent_ttl", Lifetime(options.agent_ttl), "Lifetime of agents' SVIDs."},
      {"audit_log_enabled", NotSupported(), "A log of each call."},
      {"bind_address", Into(options.bind_address), "Address to listen on for agents."},
      {"bind_port", Into(options.bind_port), "Port to listen on for agents."},
      {"ca_key_type", KeyTypeInto(options.ca_key_type), "Key type of the CA."},
      {"ca_subject", Section(CaSubjectOptions(draft), draft.has_ca_subject), "The CA's subject."},
      {"ca_ttl", Lifetime(options.ca_ttl), "Lifetime of a CA."},
      {"data_dir", Into(options.data_dir), "Folder of all that is kept."},
      {"default_x509_svid_ttl", Lifetime(options.default_x509_svid_ttl), "Of X509-SVIDs."},
      {"default_jwt_svid_ttl", Lifetime(options.default_jwt_svid_ttl), "Of JWT-SVIDs."},
      {"disable_jwt_svids", Into(options.disable_jwt_svids), "Refuse to make JWT-SVIDs."},
      {"experimental", Section(ExperimentalOptions()), "Experimental options."},
      {"federation", NotSupported(), "Bundle endpoints, own and others'."},
      {"jwt_issuer", Into(options.jwt_issuer), "The iss claim of JWT-SVIDs."},
      {"jwt_key_type", KeyTypeInto(options.jwt_key_type), "Key type of JWT authorities."},
      {"log_file", Into(options.log.file), "Where to log."},
      {"log_format",
       OneOf(options.log.format, {{"text", log::Format::kText}, {"json", log::Format::kJson}}),
       "text or json."},
      {"log_level", Into(options.log.level), "debug, info, warn or error."},
      {"log_source_location", WithoutEffect(), "File and line in the log."},
      {"max_attested_node_info_staleness", WithoutEffect(), "Nodes are always current."},
      {"profiling_enabled", WithoutEffect(), "Profiles of the program."},
      {"profiling_freq", WithoutEffect(), "Profiles of the program."},
      {"profiling_names", WithoutEffect(), "Profiles of the program."},
      {"profiling_port", WithoutEffect(), "Profiles of the program."},
      {"proxy_protocol_trusted_cidrs", NotSupported(), "Callers' addresses told by a proxy."},
      {"prune_attested_nodes_batch_size", WithoutEffect(), "Expired nodes are kept."},
      {"prune_attested_nodes_expired_for", WithoutEffect(), "Expired nodes are kept."},
      {"prune_tofu_nodes", WithoutEffect(), "Expired nodes are kept."},
      {"ratelimit", Section(RateLimitOptions(options)), "Limits for each address."},
      {"socket_path", Into(options.socket_path), "The API's socket for operators."},
      {"trust_domain", Into(draft.trust_domain), "The trust domain."},
  };
}

OptionTable AuthorityRootOptions(AuthorityDraft& draft) {
  return {
      {"server", Section(AuthorityServerOptions(draft), draft.has_server), "The authority."},
      {"plugins", Section(PluginOptions(draft), draft.has_plugins), "What it is built of."},
      {"telemetry", WithoutEffect(), "Metrics."},
      {"health_checks", NotSupported(), "Health over HTTP."},
  };
}

}  // namespace assay
