// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/config_node_attestors.h"

#include <algorithm>
#include <array>
#include <span>

#include "authority/agent_path_template.h"
#include "authority/config_options.h"
#include "authority/http_challenge_verifier.h"
#include "authority/sshpop_verifier.h"
#include "authority/x509pop_verifier.h"

namespace assay {
namespace {

constexpr int kMostIntermediates = 8;  // As many as path validation takes.
constexpr int kMostRsaBits = 1 << 16;
constexpr int kFirstFreePort = 1024;

// A template that may hold these names.
OptionReader PathTemplate(std::string& field, std::span<const std::string_view> names) {
  return [&field, names](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    const std::optional<std::string> text = TextOf(value, path, report);
    if (!text.has_value() || text->empty()) {
      return;
    }
    if (const auto parsed = AgentPathTemplate::Parse(*text, names); !parsed.ok()) {
      report.AddError(value.position, fmt::format("{}: {}", path, Message(parsed.status())));
    }
    field = *text;
  };
}

OptionReader RequiredPort(std::optional<int>& field) {
  return [&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    Into(field.emplace(), 1, 65535)(value, path, report);
  };
}

void ReadJoinToken(AuthorityDraft& draft, const ConfigValue& block, std::string_view path,
                   ConfigReport& report) {
  ReadPlugin(block, {}, path, report);
  draft.options.node_verifiers.join_token = IsEnabled(block);
}

void ReadTpmDevId(AuthorityDraft& draft, const ConfigValue& block, std::string_view path,
                  ConfigReport& report) {
  NodeVerifierOptions::TpmDevId devid;
  ReadPlugin(block,
             {{"devid_ca_path", Into(devid.devid_ca_path), "Who may sign DevID certificates."},
              {"endorsement_ca_path", Into(devid.endorsement_ca_path), "Whose TPMs are accepted."}},
             path, report);
  if (devid.devid_ca_path.empty() || devid.endorsement_ca_path.empty()) {
    report.AddError(
        block.position,
        fmt::format("{}: devid_ca_path and endorsement_ca_path must be configured", path));
  }
  if (IsEnabled(block)) {
    draft.options.node_verifiers.tpm_devid = std::move(devid);
  }
}

void ReadX509Pop(AuthorityDraft& draft, const ConfigValue& block, std::string_view path,
                 ConfigReport& report) {
  NodeVerifierOptions::X509Pop pop;
  std::string single, mode = "external_pki";
  ReadPlugin(block,
             {{"mode", Into(mode), "external_pki."},
              {"ca_bundle_path", Into(single), "Who may sign nodes' certificates."},
              {"ca_bundle_paths", Into(pop.ca_bundle_paths), "The same in several files."},
              {"agent_path_template", PathTemplate(pop.agent_path_template, kX509PopPathNames),
               "The path of agents' SPIFFE IDs."},
              {"max_intermediates", Into(pop.max_intermediates, 1, kMostIntermediates),
               "How many intermediates a node may show."},
              {"max_rsa_key_size", Into(pop.max_rsa_key_size, 1, kMostRsaBits),
               "Largest RSA key, in bits."},
              {"verify_client_ip", NotSupported(), "The node's address as in its certificate."},
              {"spiffe_prefix", WithoutEffect(), "Of mode spiffe."}},
             path, report);
  if (mode != "external_pki" && !mode.empty()) {
    report.AddError(
        block.position,
        fmt::format("{}: mode {} is not supported: only \"external_pki\" is", path, Quoted(mode)));
  }
  if (!single.empty() && !pop.ca_bundle_paths.empty()) {
    report.AddError(block.position,
                    fmt::format("{}: only one of ca_bundle_path or ca_bundle_paths can be "
                                "configured, not both",
                                path));
  } else if (!single.empty()) {
    pop.ca_bundle_paths = {std::move(single)};
  }
  if (pop.ca_bundle_paths.empty()) {
    report.AddError(
        block.position,
        fmt::format("{}: one of ca_bundle_path or ca_bundle_paths must be configured", path));
  }
  if (IsEnabled(block)) {
    draft.options.node_verifiers.x509pop = std::move(pop);
  }
}

void ReadCluster(NodeVerifierOptions::K8sPsat& psat, std::string_view name,
                 const ConfigValue& block, std::string_view path, ConfigReport& report) {
  NodeVerifierOptions::K8sPsat::Cluster cluster;
  ReadOptions(block,
              {{"service_account_allow_list", Into(cluster.service_account_allow_list),
                "Whose tokens are accepted: \"namespace:name\".", true},
               {"service_account_keys_path", Into(cluster.service_account_keys_path),
                "The cluster's public keys: PEM, or a JWK set.", true},
               {"issuer", Into(cluster.issuer), "The cluster's issuer of tokens.", true},
               {"audience", Into(cluster.audience), "Whom tokens must be for."},
               {"use_pod_uid_for_agent_id", Into(cluster.use_pod_uid_for_agent_id),
                "The pod's UID in agents' SPIFFE IDs, not the node's."},
               {"kube_config_file", NotSupported(), "Access to the cluster's API server."},
               {"allowed_node_label_keys", NotSupported(), "Labels of nodes as selectors."},
               {"allowed_pod_label_keys", NotSupported(), "Labels of pods as selectors."}},
              path, report);
  if (cluster.service_account_allow_list.empty()) {
    report.AddError(block.position,
                    fmt::format("{} must have at least one service account allowed", path));
  }
  if (cluster.audience.empty()) {
    report.AddError(block.position, fmt::format("{}.audience must not be empty", path));
  }
  if (name.empty() || name.find('/') != name.npos) {
    report.AddError(block.position, fmt::format("{}: no name for a cluster", path));
  }
  psat.clusters.insert_or_assign(std::string(name), std::move(cluster));
}

void ReadK8sPsat(AuthorityDraft& draft, const ConfigValue& block, std::string_view path,
                 ConfigReport& report) {
  NodeVerifierOptions::K8sPsat psat;
  const auto read = [&psat](std::string_view name, const ConfigValue& cluster,
                            std::string_view cluster_path, ConfigReport& to) {
    ReadCluster(psat, name, cluster, cluster_path, to);
  };
  ReadPlugin(block, {{"clusters", LabelledBlocks(read), "The clusters, by name."}}, path, report);
  if (psat.clusters.empty()) {
    report.AddError(block.position, fmt::format("{}: clusters must have at least one", path));
  }
  if (IsEnabled(block)) {
    draft.options.node_verifiers.k8s_psat = std::move(psat);
  }
}

void ReadSshPop(AuthorityDraft& draft, const ConfigValue& block, std::string_view path,
                ConfigReport& report) {
  NodeVerifierOptions::SshPop pop;
  ReadPlugin(block,
             {{"cert_authorities", Into(pop.cert_authorities), "Who may sign host certificates."},
              {"cert_authorities_path", Into(pop.cert_authorities_path), "The same in a file."},
              {"canonical_domain", Into(pop.canonical_domain), "The domain of all hosts."},
              {"agent_path_template", PathTemplate(pop.agent_path_template, kSshPopPathNames),
               "The path of agents' SPIFFE IDs."}},
             path, report);
  if (pop.cert_authorities.empty() && pop.cert_authorities_path.empty()) {
    report.AddError(
        block.position,
        fmt::format("{}: cert_authorities or cert_authorities_path must be configured", path));
  }
  if (IsEnabled(block)) {
    draft.options.node_verifiers.sshpop = std::move(pop);
  }
}

void ReadHttpChallenge(AuthorityDraft& draft, const ConfigValue& block, std::string_view path,
                       ConfigReport& report) {
  NodeVerifierOptions::HttpChallenge challenge;
  ReadPlugin(block,
             {{"allowed_dns_patterns", Into(challenge.allowed_dns_patterns),
               "Regular expressions of the hosts that may attest."},
              {"required_port", RequiredPort(challenge.required_port), "The one port of nodes."},
              {"allow_non_root_ports", Into(challenge.allow_non_root_ports),
               "Ports from 1024 on, which any user of a node can open."},
              {"allow_local_addresses", Into(challenge.allow_local_addresses),
               "Hosts whose names lead to loopback, link-local and metadata addresses."},
              {"tofu", Into(challenge.tofu), "The first node of a name keeps it."}},
             path, report);
  for (const std::string& pattern : challenge.allowed_dns_patterns) {
    if (const absl::Status valid = CheckDnsPattern(pattern); !valid.ok()) {
      report.AddError(block.position, fmt::format("{}: {}", path, Message(valid)));
    }
  }
  const bool anybody_can = challenge.required_port.has_value()
                               ? *challenge.required_port >= kFirstFreePort
                               : challenge.allow_non_root_ports;
  if (!challenge.tofu && anybody_can) {
    report.AddError(block.position,
                    fmt::format("{}: you can not turn off trust on first use (TOFU) when non-root "
                                "ports are allowed",
                                path));
  }
  if (IsEnabled(block)) {
    draft.options.node_verifiers.http_challenge = std::move(challenge);
  }
}

struct Attestor {
  std::string_view name;
  void (*read)(AuthorityDraft& draft, const ConfigValue& block, std::string_view path,
               ConfigReport& report);
};
constexpr std::array kAttestors = {
    Attestor{"join_token", ReadJoinToken}, Attestor{"tpm_devid", ReadTpmDevId},
    Attestor{"x509pop", ReadX509Pop},      Attestor{"k8s_psat", ReadK8sPsat},
    Attestor{"sshpop", ReadSshPop},        Attestor{"http_challenge", ReadHttpChallenge}};

}  // namespace

void ReadNodeAttestor(AuthorityDraft& draft, std::string_view name, const ConfigValue& block,
                      std::string_view path, ConfigReport& report) {
  const auto* known = std::find_if(kAttestors.begin(), kAttestors.end(),
                                   [name](const Attestor& a) { return a.name == name; });
  if (known != kAttestors.end()) {
    known->read(draft, block, path, report);
    return;
  }
  if (IsEnabled(block)) {
    std::vector<std::string> names;
    for (const Attestor& attestor : kAttestors) {
      names.push_back(Quoted(attestor.name));
    }
    report.AddError(block.position, fmt::format("{} is not supported: use one of {}", path,
                                                fmt::join(names, ", ")));
  }
}

}  // namespace assay
