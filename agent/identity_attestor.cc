// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_attestor.h"

#include "agent/api_client.h"
#include "attestors/node/aws_iid.h"
#include "attestors/node/azure_imds.h"
#include "attestors/node/gcp_iit.h"
#include "attestors/node/http_challenge.h"
#include "attestors/node/join_token.h"
#include "attestors/node/k8s_psat.h"
#include "attestors/node/sshpop.h"
#include "attestors/node/tpm_devid.h"
#include "attestors/node/x509pop.h"
#include "base/files.h"
#include "plugins/node_attestor.h"

namespace assay {
namespace {

constexpr size_t kMaxTokenBytes = 4096;
constexpr absl::Duration kFetchPatience = absl::Seconds(10);
constexpr std::string_view kAkCacheName = "/tpm-devid-ak";

absl::StatusOr<Secret> LoadJoinToken(const AgentConfig& config) {
  if (config.join_token_file.empty()) {
    return config.join_token.Clone();
  }
  ASSIGN_OR_RETURN(const Secret file, ReadSecretFile(config.join_token_file, kMaxTokenBytes));
  std::string_view token = file.Reveal();
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.remove_suffix(1);
  }
  return Secret(token);
}

absl::StatusOr<std::unique_ptr<NodeAttestor>> MakeTpmDevid(
    const AgentConfig& config, const std::shared_ptr<tpm::LazyTpm>& tpm) {
  const TpmDevidConfig& devid = config.tpm_devid;
  ASSIGN_OR_RETURN(
      auto attestor,
      TpmDevIdAttestor::Create(
          {.tpm = tpm,
           .devid_cert_path = devid.devid_cert_path,
           .devid_priv_path = devid.devid_priv_path,
           .devid_pub_path = devid.devid_pub_path,
           .devid_password = devid.devid_password.Clone(),
           .owner_hierarchy_password = devid.owner_hierarchy_password.Clone(),
           .endorsement_hierarchy_password = devid.endorsement_hierarchy_password.Clone(),
           .ak_cache_path = config.data_dir + std::string(kAkCacheName)}));
  return std::unique_ptr<NodeAttestor>(std::move(attestor));
}

// The default identity of the Workload API (SPIFFE Workload API section 5.2).
absl::StatusOr<X509PopIdentity> FetchX509Pop(const X509PopOptions& options) {
  absl::StatusOr<FetchedX509> fetched =
      FetchX509Svids(options.spiffe_endpoint_socket, kFetchPatience);
  if (!fetched.ok()) {
    return Unavailable("unable to fetch SVID from workload API at {}: {}",
                       options.spiffe_endpoint_socket, Message(fetched.status()));
  }
  if (fetched->svids.empty()) {
    return Unavailable("workload API at {} gave no X509-SVID", options.spiffe_endpoint_socket);
  }
  FetchedSvid& svid = fetched->svids.front();
  ASSIGN_OR_RETURN(std::unique_ptr<crypto::PrivateKey> key, crypto::PrivateKey::Parse(svid.key));
  return X509PopIdentity{.chain = std::move(svid.chain), .key = std::move(key)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestor>> MakeNodeAttestor(
    const AgentConfig& config, const std::shared_ptr<tpm::LazyTpm>& tpm, PluginConnection* plugin) {
  switch (config.node_attestor) {
    case AgentConfig::Attestor::kJoinToken: {
      ASSIGN_OR_RETURN(Secret token, LoadJoinToken(config));
      return std::make_unique<JoinTokenAttestor>(std::move(token));
    }
    case AgentConfig::Attestor::kTpmDevid:
      return MakeTpmDevid(config, tpm);
    case AgentConfig::Attestor::kX509Pop:
      return std::make_unique<X509PopAttestor>([&options = config.x509pop] {
        return options.spiffe_endpoint_socket.empty() ? LoadX509PopFiles(options)
                                                      : FetchX509Pop(options);
      });
    case AgentConfig::Attestor::kK8sPsat:
      return std::make_unique<K8sPsatAttestor>(config.k8s_psat);
    case AgentConfig::Attestor::kSshPop:
      return std::make_unique<SshPopAttestor>(config.sshpop, config.ssh_host_key.Clone());
    case AgentConfig::Attestor::kHttpChallenge:
      return std::make_unique<HttpChallengeAttestor>(config.http_challenge);
    case AgentConfig::Attestor::kAwsIid:
      return std::make_unique<AwsIidAttestor>(config.aws_iid);
    case AgentConfig::Attestor::kGcpIit:
      return std::make_unique<GcpIitAttestor>(config.gcp_iit);
    case AgentConfig::Attestor::kAzureImds:
      return std::make_unique<AzureImdsAttestor>(config.azure_imds);
    case AgentConfig::Attestor::kPlugin:
      if (plugin != nullptr) {
        return std::make_unique<NodeAttestorPlugin>(*plugin);
      }
      break;
    case AgentConfig::Attestor::kNone:
      break;
  }
  return FailedPrecondition("no NodeAttestor is configured");
}

std::string AttestorName(const AgentConfig& config) {
  using Attestor = AgentConfig::Attestor;
  switch (config.node_attestor) {
    case Attestor::kJoinToken:
      return "join_token";
    case Attestor::kTpmDevid:
      return "tpm_devid";
    case Attestor::kX509Pop:
      return "x509pop";
    case Attestor::kK8sPsat:
      return "k8s_psat";
    case Attestor::kSshPop:
      return "sshpop";
    case Attestor::kHttpChallenge:
      return "http_challenge";
    case Attestor::kAwsIid:
      return "aws_iid";
    case Attestor::kGcpIit:
      return "gcp_iit";
    case Attestor::kAzureImds:
      return "azure_imds";
    case Attestor::kPlugin:
      for (const ExternalPlugin& external : config.external_plugins) {
        if (external.plugin.type == PluginType::kNodeAttestor) {
          return external.plugin.name;
        }
      }
      break;
    case Attestor::kNone:
      break;
  }
  return "none";
}

}  // namespace assay
