// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_node_attestors.h"

#include <utility>

namespace assay {
namespace {

using Attestor = AgentConfig::Attestor;

// The next attestation is by what the options are then.
OptionTable Reloading(OptionTable options) {
  for (Option& option : options) {
    option.reloads = true;
  }
  return options;
}

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

// The path of a SPIFFE_ENDPOINT_SOCKET (SPIFFE Workload Endpoint section 4) that is a Unix socket.
OptionReader EndpointPath(std::string& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const std::optional<std::string> text = TextOf(value, path, report);
            if (!text.has_value() || text->empty()) {
              return;
            }
            constexpr std::string_view kPrefixes[] = {"unix:///", "unix:/"};
            for (const std::string_view prefix : kPrefixes) {
              if (text->starts_with(prefix)) {
                field = "/" + text->substr(prefix.size());
                return;
              }
            }
            report.AddError(
                value.position,
                fmt::format("{}: {} is not \"unix:\" and an absolute path", path, Quoted(*text)));
          },
          {.kind = "text"}};
}

OptionTable TpmDevidOptions(TpmDevidConfig& config) {
  OptionTable options = Reloading({
      {"devid_cert_path", Into(config.devid_cert_path), "PEM of the DevID certificate.", true},
      {"devid_priv_path", Into(config.devid_priv_path), "Private blob of the key.", true},
      {"devid_pub_path", Into(config.devid_pub_path), "Public blob of the key.", true},
      {"devid_password", Into(config.devid_password), "Password of the DevID key."},
      {"owner_hierarchy_password", Into(config.owner_hierarchy_password),
       "Password of the TPM's owner hierarchy."},
      {"endorsement_hierarchy_password", Into(config.endorsement_hierarchy_password),
       "Password of the TPM's endorsement hierarchy."},
  });
  // The TPM that is in use stays so.
  options.insert(options.begin(), {"tpm_device_path", Into(config.tpm_device_path),
                                   "The TPM; unset: the only one."});
  return options;
}

OptionTable X509PopOptionsOf(X509PopOptions& pop) {
  return {
      {"private_key_path", Into(pop.private_key_path), "PEM of the certificate's key."},
      {"certificate_path", Into(pop.certificate_path), "PEM of the certificate."},
      {"intermediates_path", Into(pop.intermediates_path), "PEM of the authorities between."},
      {"spiffe_endpoint_socket", EndpointPath(pop.spiffe_endpoint_socket),
       "`unix:` and the socket of a Workload API, in place of the files."},
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

OptionTable HttpChallengeOptionsOf(HttpChallengeOptions& challenge) {
  return {
      {"hostname", Into(challenge.hostname), "The node's name; unset: the machine's."},
      {"agentname", UnlessEmpty(challenge.agentname), "Which of the host's agents it is."},
      {"port", Into(challenge.port, 0), "To listen on; 0: any free one."},
      {"advertised_port", Into(challenge.advertised_port, 0), "As the upstream reaches it."},
  };
}

OptionTable AwsIidOptionsOf(AwsIidOptions& config) {
  return {{"ec2_metadata_endpoint", UnlessEmpty(config.ec2_metadata_endpoint),
           "URL of the instance metadata service."}};
}

OptionTable GcpIitOptionsOf(GcpIitOptions& config) {
  return {
      {"identity_token_host", UnlessEmpty(config.identity_token_host),
       "Host of the metadata server."},
      {"service_account", UnlessEmpty(config.service_account), "Whose token to show."},
  };
}

OptionTable AzureImdsOptionsOf(AzureImdsOptions& config) {
  return {{"tenant_domain", Into(config.tenant_domain),
           "Domain of the tenant that the machine is in.", true}};
}

void CheckX509Pop(const X509PopOptions& pop, ConfigPosition position, std::string_view path,
                  ConfigReport& report) {
  if (!pop.spiffe_endpoint_socket.empty()) {
    return;
  }
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
       .choose = use(Attestor::kJoinToken)},
      {.name = "tpm_devid",
       .data = TpmDevidOptions(config.tpm_devid),
       .doc = "By a DevID key in the machine's TPM.",
       .choose = use(Attestor::kTpmDevid)},
      {.name = "x509pop",
       .data = Reloading(X509PopOptionsOf(config.x509pop)),
       .doc = "By a certificate and its key.",
       .choose = use(Attestor::kX509Pop),
       .check = [&pop = config.x509pop](auto&&... where) { CheckX509Pop(pop, where...); }},
      {.name = "k8s_psat",
       .data = Reloading(K8sPsatOptionsOf(config.k8s_psat)),
       .doc = "By the projected service account token of the agent's pod.",
       .choose = use(Attestor::kK8sPsat)},
      {.name = "sshpop",
       .data = Reloading(SshPopOptionsOf(config.sshpop)),
       .doc = "By an SSH host certificate and its key.",
       .choose = use(Attestor::kSshPop)},
      {.name = "aws_iid",
       .data = Reloading(AwsIidOptionsOf(config.aws_iid)),
       .doc = "By the identity document of an EC2 instance.",
       .choose = use(Attestor::kAwsIid)},
      {.name = "gcp_iit",
       .data = Reloading(GcpIitOptionsOf(config.gcp_iit)),
       .doc = "By the identity token of a Compute Engine instance.",
       .choose = use(Attestor::kGcpIit)},
      {.name = "azure_imds",
       .data = Reloading(AzureImdsOptionsOf(config.azure_imds)),
       .doc = "By the attested document of Azure's metadata service.",
       .choose = use(Attestor::kAzureImds)},
      {.name = "http_challenge",
       .data = Reloading(HttpChallengeOptionsOf(config.http_challenge)),
       .doc = "By an answer over HTTP at the name of the host.",
       .choose = use(Attestor::kHttpChallenge)},
  };
}

}  // namespace assay
