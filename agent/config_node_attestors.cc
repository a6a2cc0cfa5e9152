// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_node_attestors.h"

#include <utility>

namespace assay {
namespace {

using Attestor = AgentConfig::Attestor;

// An empty string stands for the default, as in the reference.
OptionReader UnlessEmpty(std::string& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (std::optional<std::string> text = TextOf(value, path, report);
                text.has_value() && !text->empty()) {
              field = *std::move(text);
            }
          },
          {.kind = "text", .initial = field}};
}

OptionTable TpmDevidOptions(TpmDevidConfig& config) {
  return {
      {"tpm_device_path", Into(config.tpm_device_path), "The TPM; unset: the only one."},
      {"devid_cert_path", Into(config.devid_cert_path), "PEM of the DevID certificate.", true},
      {"devid_priv_path", Into(config.devid_priv_path), "Private blob of the key.", true},
      {"devid_pub_path", Into(config.devid_pub_path), "Public blob of the key.", true},
      {"devid_password", Into(config.devid_password), "Password of the DevID key."},
      {"owner_hierarchy_password", Into(config.owner_hierarchy_password),
       "Password of the TPM's owner hierarchy."},
      {"endorsement_hierarchy_password", Into(config.endorsement_hierarchy_password),
       "Password of the TPM's endorsement hierarchy."},
  };
}

OptionTable X509PopOptionsOf(X509PopOptions& pop) {
  return {
      {"private_key_path", Into(pop.private_key_path), "PEM of the certificate's key."},
      {"certificate_path", Into(pop.certificate_path), "PEM of the certificate."},
      {"intermediates_path", Into(pop.intermediates_path), "PEM of the authorities between."},
      {"spiffe_endpoint_socket", NotSupported(), "A Workload API in place of the files."},
  };
}

OptionTable K8sPsatOptionsOf(K8sPsatOptions& config) {
  return {
      {"cluster", Into(config.cluster), "The cluster's name upstream.", true},
      {"token_path", UnlessEmpty(config.token_path), "The projected token's file."},
  };
}

OptionTable SshPopOptionsOf(SshPopOptions& config) {
  return {
      {"host_key_path", UnlessEmpty(config.host_key_path), "The host's private key."},
      {"host_cert_path", UnlessEmpty(config.host_cert_path), "Its certificate."},
  };
}

void CheckX509Pop(const X509PopOptions& pop, ConfigPosition position, std::string_view path,
                  ConfigReport& report) {
  for (const auto& [name, value] : {std::pair("private_key_path", &pop.private_key_path),
                                    std::pair("certificate_path", &pop.certificate_path)}) {
    if (value->empty()) {
      report.AddError(position, fmt::format("{}.{} must be configured", path, name));
    }
  }
}

}  // namespace

std::vector<Plugin> NodeAttestorPlugins(AgentConfig& config) {
  const auto use = [&config](Attestor attestor) {
    return [&config, attestor] { config.node_attestor = attestor; };
  };
  return {
      {.name = "join_token",
       .data = {},
       .doc = "By the agent's `join_token` or `join_token_file`, once.",
       .choose = use(Attestor::kJoinToken),
       .reloads = true},
      {.name = "tpm_devid",
       .data = TpmDevidOptions(config.tpm_devid),
       .doc = "By a DevID key in the machine's TPM.",
       .choose = use(Attestor::kTpmDevid),
       .reloads = true},
      {.name = "x509pop",
       .data = X509PopOptionsOf(config.x509pop),
       .doc = "By a certificate and its key.",
       .choose = use(Attestor::kX509Pop),
       .reloads = true,
       .check = [&pop = config.x509pop](auto&&... where) { CheckX509Pop(pop, where...); }},
      {.name = "k8s_psat",
       .data = K8sPsatOptionsOf(config.k8s_psat),
       .doc = "By the projected service account token of the agent's pod.",
       .choose = use(Attestor::kK8sPsat),
       .reloads = true},
      {.name = "sshpop",
       .data = SshPopOptionsOf(config.sshpop),
       .doc = "By an SSH host certificate and its key.",
       .choose = use(Attestor::kSshPop),
       .reloads = true},
  };
}

}  // namespace assay
