// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/node_verifier.h"

#include "authority/http_challenge_verifier.h"
#include "authority/k8s_psat_verifier.h"
#include "authority/sshpop_verifier.h"
#include "authority/x509pop_verifier.h"
#include "base/files.h"
#include "base/http_fetch.h"
#include "tpm/devid_verifier.h"

namespace assay {
namespace {

constexpr std::string_view kTpmDevId = "tpm_devid";
constexpr absl::Duration kFetchTime = absl::Seconds(10);
constexpr size_t kMaxNonceBytes = 512;

struct DevIdCas {
  std::vector<crypto::Certificate> devid;
  std::vector<crypto::Certificate> endorsement;
};

class DevIdVerification final : public NodeVerification {
 public:
  explicit DevIdVerification(std::shared_ptr<const DevIdCas> cas) : cas_(std::move(cas)) {}

  absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time now) override {
    absl::StatusOr<tpm::DevIdSession> session =
        tpm::BeginVerification(payload, cas_->devid, cas_->endorsement, now);
    if (!session.ok()) {
      return session.status();
    }
    session_ = std::make_unique<tpm::DevIdSession>(*std::move(session));
    return Verdict{.challenge = session_->challenge, .node = std::nullopt};
  }

  absl::StatusOr<Verdict> Answer(std::string_view response) override {
    RETURN_IF_ERROR(tpm::CheckResponse(*session_, response));
    VerifiedNode node{.agent_path =
                          fmt::format("/spire/agent/{}/{}", kTpmDevId, session_->path_suffix)};
    for (const std::string& value : session_->selectors) {
      node.selectors.push_back({std::string(kTpmDevId), value});
    }
    return Verdict{.challenge = std::nullopt, .node = std::move(node)};
  }

 private:
  const std::shared_ptr<const DevIdCas> cas_;
  std::unique_ptr<tpm::DevIdSession> session_;  // Set between Begin and Answer.
};

class DevIdVerifier final : public NodeVerifier {
 public:
  explicit DevIdVerifier(DevIdCas cas) : cas_(std::make_shared<const DevIdCas>(std::move(cas))) {}
  std::unique_ptr<NodeVerification> Start() const override {
    return std::make_unique<DevIdVerification>(cas_);
  }

 private:
  const std::shared_ptr<const DevIdCas> cas_;
};

absl::StatusOr<std::string> FetchNonce(const std::string& url) {
  return FetchHttp({.url = url, .timeout = kFetchTime, .max_bytes = kMaxNonceBytes, .plain = true});
}

absl::Status Add(std::string_view name, absl::StatusOr<std::unique_ptr<NodeVerifier>> made,
                 NodeVerifiers& verifiers) {
  RETURN_IF_ERROR(WithContext(made.status(), fmt::format("NodeAttestor \"{}\"", name)));
  verifiers.emplace(name, *std::move(made));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<crypto::Certificate>> LoadCas(std::string_view option,
                                                         const std::string& path) {
  absl::StatusOr<std::string> pem = ReadFile(path);
  RETURN_IF_ERROR(WithContext(pem.status(), fmt::format("{} {}", option, path)));
  absl::StatusOr<std::vector<crypto::Certificate>> cas = crypto::Certificate::ParsePem(*pem);
  RETURN_IF_ERROR(WithContext(cas.status(), fmt::format("{} {}", option, path)));
  return cas;
}

absl::StatusOr<NodeVerifiers> MakeNodeVerifiers(const AuthorityOptions& options,
                                                const NodeVerifierOptions& more) {
  NodeVerifiers verifiers;
  if (options.tpm_devid.has_value()) {
    DevIdCas cas;
    ASSIGN_OR_RETURN(cas.devid, LoadCas("devid_ca_path", options.tpm_devid->devid_ca_path));
    ASSIGN_OR_RETURN(cas.endorsement,
                     LoadCas("endorsement_ca_path", options.tpm_devid->endorsement_ca_path));
    verifiers.emplace(kTpmDevId, std::make_unique<DevIdVerifier>(std::move(cas)));
  }
  if (more.x509pop.has_value()) {
    RETURN_IF_ERROR(
        Add("x509pop", MakeX509PopVerifier(*more.x509pop, options.trust_domain), verifiers));
  }
  if (more.k8s_psat.has_value()) {
    RETURN_IF_ERROR(Add("k8s_psat", MakeK8sPsatVerifier(*more.k8s_psat), verifiers));
  }
  if (more.sshpop.has_value()) {
    RETURN_IF_ERROR(Add("sshpop", MakeSshPopVerifier(*more.sshpop), verifiers));
  }
  if (more.http_challenge.has_value()) {
    RETURN_IF_ERROR(Add("http_challenge",
                        MakeHttpChallengeVerifier(*more.http_challenge, FetchNonce), verifiers));
  }
  return verifiers;
}

}  // namespace assay
