// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/node_verifiers.h"

#include "authority/http_challenge_verifier.h"
#include "authority/k8s_psat_verifier.h"
#include "authority/sshpop_verifier.h"
#include "authority/tpm_devid_verifier.h"
#include "authority/x509pop_verifier.h"
#include "base/http_fetch.h"

namespace assay {
namespace {

constexpr absl::Duration kFetchTime = absl::Seconds(10);
constexpr absl::Duration kConnectTime = absl::Seconds(3);
constexpr size_t kMaxNonceBytes = 512;

absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeHttpChallenge(
    const NodeVerifierOptions::HttpChallenge& options) {
  RETURN_IF_ERROR(CheckHttpFetch());
  return MakeHttpChallengeVerifier(
      options, [only_outside = !options.allow_local_addresses](const std::string& url,
                                                               const std::atomic<bool>& cancelled) {
        return FetchHttp({.url = url,
                          .timeout = kFetchTime,
                          .max_bytes = kMaxNonceBytes,
                          .connect_timeout = kConnectTime,
                          .plain = true,
                          .only_outside = only_outside,
                          .cancelled = &cancelled});
      });
}

absl::Status Add(std::string_view name, absl::StatusOr<std::unique_ptr<NodeVerifier>> made,
                 NodeVerifiers& verifiers) {
  RETURN_IF_ERROR(WithContext(made.status(), fmt::format("NodeAttestor \"{}\"", name)));
  verifiers.emplace(name, *std::move(made));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NodeVerifiers> MakeNodeVerifiers(const AuthorityOptions& options) {
  const NodeVerifierOptions& wanted = options.node_verifiers;
  NodeVerifiers verifiers;
  if (wanted.tpm_devid.has_value()) {
    RETURN_IF_ERROR(Add("tpm_devid", MakeTpmDevIdVerifier(*wanted.tpm_devid), verifiers));
  }
  if (wanted.x509pop.has_value()) {
    RETURN_IF_ERROR(
        Add("x509pop", MakeX509PopVerifier(*wanted.x509pop, options.trust_domain), verifiers));
  }
  if (wanted.k8s_psat.has_value()) {
    RETURN_IF_ERROR(Add("k8s_psat", MakeK8sPsatVerifier(*wanted.k8s_psat), verifiers));
  }
  if (wanted.sshpop.has_value()) {
    RETURN_IF_ERROR(Add("sshpop", MakeSshPopVerifier(*wanted.sshpop), verifiers));
  }
  if (wanted.http_challenge.has_value()) {
    RETURN_IF_ERROR(Add("http_challenge", MakeHttpChallenge(*wanted.http_challenge), verifiers));
  }
  return verifiers;
}

}  // namespace assay
