// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/k8s_psat_verifier.h"

#include <algorithm>

#include "base/files.h"
#include "base/log.h"
#include "base/trimmed.h"
#include "crypto/json_object.h"
#include "crypto/jws.h"
#include "crypto/pem.h"

namespace assay {
namespace {

using crypto::JsonObject;
using crypto::Jwk;
using crypto::Jws;
using Cluster = NodeVerifierOptions::K8sPsat::Cluster;

constexpr std::string_view kK8sPsat = "k8s_psat";
constexpr size_t kMaxPayloadBytes = 128 << 10;
constexpr size_t kMaxClaimsBytes = Jws::kMaxBytes;
constexpr size_t kMaxAudiences = 100;
// How far the cluster's clock may be ahead of ours.
constexpr absl::Duration kLeeway = absl::Minutes(1);

// PEM of public keys, as kube-apiserver's --service-account-key-file, or the JWK set of the
// cluster's issuer.
absl::StatusOr<std::vector<Jwk>> ParseKeys(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin != text.npos && text[begin] == '{') {
    return crypto::ParseJwkSet(text);
  }
  ASSIGN_OR_RETURN(const std::vector<crypto::PemBlock> blocks, crypto::ParsePem(text));
  std::vector<Jwk> keys;
  for (const crypto::PemBlock& block : blocks) {
    if (block.label == "PUBLIC KEY") {
      ASSIGN_OR_RETURN(crypto::PublicKey key, crypto::PublicKey::ParseSpki(block.der));
      keys.push_back({.key_id = "", .key = std::move(key)});
    }
  }
  return keys;
}

absl::StatusOr<std::vector<Jwk>> LoadKeys(const Cluster& cluster) {
  const std::string& path = cluster.service_account_keys_path;
  absl::StatusOr<std::string> text = ReadFile(path);
  RETURN_IF_ERROR(WithContext(text.status(), "service_account_keys_path"));
  absl::StatusOr<std::vector<Jwk>> keys = ParseKeys(*text);
  RETURN_IF_ERROR(WithContext(keys.status(), fmt::format("service_account_keys_path {}", path)));
  if (keys->empty()) {
    return FailedPrecondition(
        "service_account_keys_path {}: no PUBLIC KEY block and no key of a JWK set", path);
  }
  return keys;
}

// Of the keys with the token's key identifier, and those without any, one must have signed it.
absl::Status CheckSignature(const Jws& jws, const std::vector<Jwk>& keys) {
  for (const Jwk& key : keys) {
    const bool may_be = key.key_id.empty() || jws.key_id().empty() || key.key_id == jws.key_id();
    if (may_be && jws.Verify(key.key).ok()) {
      return absl::OkStatus();
    }
  }
  return PermissionDenied("it is signed by none of the {} keys of the cluster", keys.size());
}

absl::Status CheckTimes(const JsonObject& claims, absl::Time now) {
  ASSIGN_OR_RETURN(const int64_t expires, claims.Integer("exp"));
  if (now >= absl::FromUnixSeconds(expires)) {
    return PermissionDenied("it has expired at {}", expires);
  }
  if (claims.Has("nbf")) {
    ASSIGN_OR_RETURN(const int64_t begins, claims.Integer("nbf"));
    if (now + kLeeway < absl::FromUnixSeconds(begins)) {
      return PermissionDenied("it is valid from {} on", begins);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAddressee(const JsonObject& claims, const Cluster& cluster) {
  ASSIGN_OR_RETURN(const std::string issuer, claims.Text("iss"));
  if (issuer != cluster.issuer) {
    return PermissionDenied("its issuer is {}, not {}", Quoted(issuer), Quoted(cluster.issuer));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> audience, claims.Texts("aud", kMaxAudiences));
  const bool is_ours = std::any_of(audience.begin(), audience.end(), [&](const std::string& name) {
    return std::find(cluster.audience.begin(), cluster.audience.end(), name) !=
           cluster.audience.end();
  });
  return is_ours
             ? absl::OkStatus()
             : PermissionDenied("its audience is none of {}", fmt::join(cluster.audience, ", "));
}

// What the token says of the agent's pod; the node's are empty for a cluster that does not tell.
struct Pod {
  std::string service_account_namespace, service_account;
  std::string name, uid;
  std::string node_name, node_uid;
};

absl::StatusOr<Pod> ParsePod(const JsonObject& claims) {
  Pod pod;
  ASSIGN_OR_RETURN(const JsonObject kubernetes, claims.Object("kubernetes.io"));
  ASSIGN_OR_RETURN(pod.service_account_namespace, kubernetes.Text("namespace"));
  ASSIGN_OR_RETURN(const JsonObject account, kubernetes.Object("serviceaccount"));
  ASSIGN_OR_RETURN(pod.service_account, account.Text("name"));
  // A token of a service account that is bound to no pod says nothing of a node.
  ASSIGN_OR_RETURN(const JsonObject bound, kubernetes.Object("pod"));
  ASSIGN_OR_RETURN(pod.name, bound.Text("name"));
  ASSIGN_OR_RETURN(pod.uid, bound.Text("uid"));
  if (kubernetes.Has("node")) {
    ASSIGN_OR_RETURN(const JsonObject node, kubernetes.Object("node"));
    ASSIGN_OR_RETURN(pod.node_name, node.Text("name"));
    ASSIGN_OR_RETURN(pod.node_uid, node.Text("uid"));
  }
  ASSIGN_OR_RETURN(const std::string subject, claims.Text("sub"));
  if (subject != fmt::format("system:serviceaccount:{}:{}", pod.service_account_namespace,
                             pod.service_account)) {
    return PermissionDenied("its subject {} is not its service account's", Quoted(subject));
  }
  const auto is_name = [](const std::string& name) {
    return !name.empty() && name.find_first_of("/:") == std::string::npos;
  };
  const bool has_node = !pod.node_name.empty() || !pod.node_uid.empty();
  if (!is_name(pod.service_account_namespace) || !is_name(pod.service_account) ||
      !is_name(pod.name) || !is_name(pod.uid) ||
      (has_node && (!is_name(pod.node_name) || !is_name(pod.node_uid)))) {
    return PermissionDenied("it names no pod of a service account, or no node");
  }
  return pod;
}

absl::StatusOr<Pod> Authenticate(std::string_view token, const std::vector<Jwk>& keys,
                                 const Cluster& cluster, absl::Time now) {
  ASSIGN_OR_RETURN(const Jws jws, Jws::Parse(token));
  RETURN_IF_ERROR(CheckSignature(jws, keys));
  ASSIGN_OR_RETURN(const JsonObject claims, JsonObject::Parse(jws.payload(), kMaxClaimsBytes));
  RETURN_IF_ERROR(CheckTimes(claims, now));
  RETURN_IF_ERROR(CheckAddressee(claims, cluster));
  return ParsePod(claims);
}

absl::StatusOr<VerifiedNode> NodeOf(const Pod& pod, const std::string& name,
                                    const Cluster& cluster) {
  const std::string account =
      fmt::format("{}:{}", pod.service_account_namespace, pod.service_account);
  const std::vector<std::string>& allowed = cluster.service_account_allow_list;
  if (std::find(allowed.begin(), allowed.end(), account) == allowed.end()) {
    return PermissionDenied("{} is not an allowed service account for cluster {}", Quoted(account),
                            Quoted(name));
  }
  if (pod.node_uid.empty() && !cluster.use_pod_uid_for_agent_id) {
    return FailedPrecondition(
        "the token does not say on which node its pod is, as Kubernetes before 1.32 does not: set "
        "use_pod_uid_for_agent_id for cluster {}",
        Quoted(name));
  }
  VerifiedNode node{.agent_path = fmt::format(
                        "/spire/agent/{}/{}/{}", kK8sPsat, name,
                        cluster.use_pod_uid_for_agent_id ? "pod/" + pod.uid : pod.node_uid)};
  const std::pair<std::string_view, const std::string&> facts[] = {
      {"cluster", name},
      {"agent_ns", pod.service_account_namespace},
      {"agent_sa", pod.service_account},
      {"agent_pod_name", pod.name},
      {"agent_pod_uid", pod.uid},
      {"agent_node_name", pod.node_name},
      {"agent_node_uid", pod.node_uid}};
  for (const auto& [kind, value] : facts) {
    if (!value.empty()) {
      node.selectors.push_back({std::string(kK8sPsat), fmt::format("{}:{}", kind, value)});
    }
  }
  return node;
}

class K8sPsatVerification final : public NodeVerification {
 public:
  explicit K8sPsatVerification(std::shared_ptr<const NodeVerifierOptions::K8sPsat> options)
      : options_(std::move(options)) {}

  absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time now) override {
    const absl::StatusOr<JsonObject> json = JsonObject::Parse(payload, kMaxPayloadBytes);
    RETURN_IF_ERROR(WithContext(json.status(), "failed to unmarshal data payload"));
    const std::string name = json->Text("cluster").value_or("");
    const Secret token = json->SecretText("token").value_or(Secret());
    if (name.empty() || token.empty()) {
      return InvalidArgument("missing {} in attestation data", name.empty() ? "cluster" : "token");
    }
    const auto cluster = options_->clusters.find(name);
    if (cluster == options_->clusters.end()) {
      return InvalidArgument("not configured for cluster {}", Quoted(name));
    }
    // A file that is being replaced is no fault of the node's, nor its business.
    const absl::StatusOr<std::vector<Jwk>> keys = LoadKeys(cluster->second);
    if (!keys.ok()) {
      log::Error("cannot read the keys of a cluster",
                 {{"cluster", name}, {"error", keys.status()}});
      return Unavailable("the keys of cluster {} cannot be read at this time", Quoted(name));
    }
    // The file of a token may end in a newline.
    const absl::StatusOr<Pod> pod =
        Authenticate(Trimmed(token.Reveal()), *keys, cluster->second, now);
    if (!pod.ok()) {
      return PermissionDenied("token not authenticated for cluster {}: {}", Quoted(name),
                              Message(pod.status()));
    }
    ASSIGN_OR_RETURN(VerifiedNode node, NodeOf(*pod, name, cluster->second));
    return Verdict{.challenge = std::nullopt, .node = std::move(node)};
  }

  absl::StatusOr<Verdict> Answer(std::string_view) override {
    return InvalidArgument("there was no challenge to answer");
  }

 private:
  const std::shared_ptr<const NodeVerifierOptions::K8sPsat> options_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeK8sPsatVerifier(
    const NodeVerifierOptions::K8sPsat& options) {
  for (const auto& [name, cluster] : options.clusters) {
    RETURN_IF_ERROR(
        WithContext(LoadKeys(cluster).status(), fmt::format("cluster {}", Quoted(name))));
  }
  return MakeVerifierOf<K8sPsatVerification>(options);
}

}  // namespace assay
