// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/agent_svid.h"

#include "authority/id_convert.h"
#include "authority/x509_issuer.h"
#include "spire/api/types/svid.pb.h"

namespace assay {
namespace {

absl::StatusOr<crypto::Certificate> Sign(const SigningAuthority& authority, const SpiffeId& id,
                                         const std::string& csr, absl::Duration ttl,
                                         absl::Time now) {
  absl::StatusOr<crypto::CertificateRequest> request = crypto::CertificateRequest::Parse(csr);
  if (!request.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "failed to parse CSR", request.status());
  }
  absl::StatusOr<crypto::Certificate> leaf =
      IssueX509Svid(authority, {.id = id, .key = request->public_key, .ttl = ttl}, now);
  if (!leaf.ok()) {
    return ApiError(absl::StatusCode::kInternal, "failed to sign X509 SVID", leaf.status());
  }
  return leaf;
}

}  // namespace

void SignAgentSvid(State& state, const SpiffeId& id, const std::string& csr,
                   std::function<void(const absl::StatusOr<crypto::Certificate>&)> done) {
  const SigningAuthorityPtr authority = state.ca.Active(SigningAuthority::Kind::kX509);
  state.signing.Run(
      state.loop,
      [authority, id, csr, ttl = state.options.AgentTtl(), now = state.clock.Now()] {
        return Sign(*authority, id, csr, ttl, now);
      },
      std::move(done));
}

void ToProto(const SpiffeId& id, const crypto::Certificate& leaf,
             spire::api::types::X509SVID* out) {
  out->add_cert_chain(leaf.der());
  ToProto(id, out->mutable_id());
  out->set_expires_at(absl::ToUnixSeconds(leaf.not_after()));
}

}  // namespace assay
