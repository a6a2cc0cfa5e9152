// SPDX-License-Identifier: GPL-3.0-or-later
// How nodes may prove themselves to an authority.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace assay {

struct NodeVerifierOptions {
  // By their DevID (IEEE 802.1AR) and endorsement certificates.
  struct TpmDevId {
    std::string devid_ca_path;        // PEM: who may sign DevID certificates.
    std::string endorsement_ca_path;  // PEM: whose TPMs are accepted.
  };
  // By X.509 certificates of any PKI.
  struct X509Pop {
    std::vector<std::string> ca_bundle_paths;  // PEM: who may sign them; at least one.
    std::string agent_path_template = "/{{ .PluginName }}/{{ .Fingerprint }}";
    int max_intermediates = 4;
    int max_rsa_key_size = 8192;  // Bits.
  };
  // By the service account token of their agent's pod in a Kubernetes cluster.
  struct K8sPsat {
    struct Cluster {
      std::string service_account_keys_path;  // The cluster's public keys: PEM, or a JWK set.
      std::string issuer;                     // As kube-apiserver's --service-account-issuer.
      std::vector<std::string> service_account_allow_list;  // "namespace:name", at least one.
      std::vector<std::string> audience = {"spire-server"};
      bool use_pod_uid_for_agent_id = false;  // Instead of the node's, which new clusters tell.
    };
    std::map<std::string, Cluster, std::less<>> clusters;  // By the names that agents say.
  };
  // By their SSH host certificates.
  struct SshPop {
    std::vector<std::string> cert_authorities;  // Lines of public keys.
    std::string cert_authorities_path;          // A file of such lines; empty: none.
    std::string canonical_domain;               // That hosts must be in; empty: any.
    std::string agent_path_template = "/{{ .PluginName }}/{{ .Fingerprint }}";
  };

  // Verifies nodes by what answers at their host names over HTTP.
  struct HttpChallenge {
    std::vector<std::string> allowed_dns_patterns = {};  // Regular expressions; empty: any name.
    std::optional<int> required_port = {};
    bool allow_non_root_ports = true;
    bool allow_local_addresses = false;  // Those that base/outside_address.h has not.
    bool tofu = true;  // The first node of a name keeps it: nobody attests as it again.
  };

  bool join_token = true;
  std::optional<TpmDevId> tpm_devid = {};
  std::optional<X509Pop> x509pop = {};
  std::optional<K8sPsat> k8s_psat = {};
  std::optional<SshPop> sshpop = {};
  std::optional<HttpChallenge> http_challenge = {};

  bool empty() const {
    return !join_token && !tpm_devid.has_value() && !x509pop.has_value() && !k8s_psat.has_value() &&
           !sshpop.has_value() && !http_challenge.has_value();
  }
};

}  // namespace assay
