// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_node_attestors.h"

#include <algorithm>
#include <array>

#include "agent/config_plugin.h"

namespace assay {
namespace {

using Attestor = AgentConfig::Attestor;

// An empty string stands for the default, as in the reference.
OptionReader UnlessEmpty(std::string& field) {
  return [&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
    if (std::optional<std::string> text = TextOf(value, path, report);
        text.has_value() && !text->empty()) {
      field = *std::move(text);
    }
  };
}

OptionTable JoinTokenOptions(AgentConfig&) { return {}; }

OptionTable TpmDevidOptions(AgentConfig& whole) {
  TpmDevidConfig& config = whole.tpm_devid;
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

OptionTable X509PopOptionsOf(AgentConfig& config) {
  X509PopOptions& pop = config.x509pop;
  return {
      {"private_key_path", Into(pop.private_key_path), "PEM of the certificate's key."},
      {"certificate_path", Into(pop.certificate_path), "PEM of the certificate."},
      {"intermediates_path", Into(pop.intermediates_path), "PEM of the authorities between."},
      {"spiffe_endpoint_socket", NotSupported(), "A Workload API in place of the files."},
  };
}

OptionTable K8sPsatOptionsOf(AgentConfig& config) {
  return {
      {"cluster", Into(config.k8s_psat.cluster), "The cluster's name upstream.", true},
      {"token_path", UnlessEmpty(config.k8s_psat.token_path), "The projected token's file."},
  };
}

OptionTable SshPopOptionsOf(AgentConfig& config) {
  return {
      {"host_key_path", UnlessEmpty(config.sshpop.host_key_path), "The host's private key."},
      {"host_cert_path", UnlessEmpty(config.sshpop.host_cert_path), "Its certificate."},
  };
}

void CheckX509Pop(const AgentConfig& config, ConfigPosition position, std::string_view path,
                  ConfigReport& report) {
  for (const auto& [name, value] :
       {std::pair("private_key_path", &config.x509pop.private_key_path),
        std::pair("certificate_path", &config.x509pop.certificate_path)}) {
    if (value->empty()) {
      report.AddError(position, fmt::format("{}.{} must be configured", path, name));
    }
  }
}

struct Known {
  std::string_view name;
  Attestor attestor;
  OptionTable (*options)(AgentConfig& config);
  // What no single option can say; may be null.
  void (*check)(const AgentConfig& config, ConfigPosition position, std::string_view path,
                ConfigReport& report);
};
constexpr std::array kKnown = {
    Known{"join_token", Attestor::kJoinToken, JoinTokenOptions, nullptr},
    Known{"tpm_devid", Attestor::kTpmDevid, TpmDevidOptions, nullptr},
    Known{"x509pop", Attestor::kX509Pop, X509PopOptionsOf, CheckX509Pop},
    Known{"k8s_psat", Attestor::kK8sPsat, K8sPsatOptionsOf, nullptr},
    Known{"sshpop", Attestor::kSshPop, SshPopOptionsOf, nullptr},
};

std::string KnownNames() {
  std::vector<std::string> names;
  for (const Known& known : kKnown) {
    names.push_back(Quoted(known.name));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

OptionReader NodeAttestors(AgentConfig& config) {
  return LabelledBlocks([&config](std::string_view label, const ConfigValue& block,
                                  std::string_view path, ConfigReport& report) {
    const auto* known = std::find_if(kKnown.begin(), kKnown.end(),
                                     [label](const Known& k) { return k.name == label; });
    if (known == kKnown.end()) {
      NoSuchPlugin(block, path, KnownNames(), report);
      return;
    }
    if (!ReadPlugin(block, known->options(config), path, report)) {
      return;
    }
    if (known->check != nullptr) {
      known->check(config, block.position, path, report);
    }
    if (config.node_attestor != Attestor::kNone) {
      report.AddError(block.position, fmt::format("{}: only one NodeAttestor can be used", path));
    } else {
      config.node_attestor = known->attestor;
    }
  });
}

}  // namespace assay
