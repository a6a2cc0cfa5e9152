// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegated_answers.h"

#include "base/secret.h"
#include "crypto/der_reader.h"
#include "crypto/json_object.h"
#include "spiffe/jwt_svid.h"
#include "spiffe/spiffe_id.h"
#include "spire/api/agent/delegatedidentity/v1/delegatedidentity.pb.h"
#include "workload-api/answer_bytes.h"

namespace assay {
namespace {

namespace v1 = spire::api::agent::delegatedidentity::v1;

std::string IdOf(std::string_view trust_domain) { return "spiffe://" + std::string(trust_domain); }

void FillId(const SpiffeId& id, spire::api::types::SPIFFEID& message) {
  message.set_trust_domain(id.trust_domain().name());
  message.set_path(id.path());
}

bool Fill(const X509SvidItem& item, v1::X509SVIDWithKey& message) {
  const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(item.spiffe_id);
  if (!id.ok()) {
    return false;
  }
  spire::api::types::X509SVID& svid = *message.mutable_x509_svid();
  FillId(*id, *svid.mutable_id());
  for (crypto::DerReader chain(item.chain); !chain.AtEnd();) {
    const absl::StatusOr<crypto::DerElement> certificate = chain.ReadAny();
    if (!certificate.ok()) {
      return false;
    }
    svid.add_cert_chain(certificate->whole.data(), certificate->whole.size());
  }
  svid.set_expires_at(item.expires_at);
  svid.set_hint(std::string(item.hint));
  message.set_x509_svid_key(item.key.data(), item.key.size());
  return true;
}

// Unix seconds.
absl::StatusOr<int64_t> IssuedAt(std::string_view token) {
  ASSIGN_OR_RETURN(const JwtSvid svid, JwtSvid::Parse(token));
  ASSIGN_OR_RETURN(const crypto::JsonObject claims,
                   crypto::JsonObject::Parse(svid.claims(), svid.claims().size()));
  return claims.Integer("iat").value_or(0);
}

}  // namespace

std::string DelegatedX509SvidsAnswer(const std::vector<X509SvidItem>& items,
                                     const std::set<std::string_view>& federates_with) {
  v1::SubscribeToX509SVIDsResponse response;
  for (const X509SvidItem& item : items) {
    if (!Fill(item, *response.add_x509_svids())) {
      response.mutable_x509_svids()->RemoveLast();
    }
  }
  for (const std::string_view trust_domain : federates_with) {
    response.add_federates_with(IdOf(trust_domain));
  }
  std::string bytes = AnswerBytes(response);
  for (v1::X509SVIDWithKey& svid : *response.mutable_x509_svids()) {
    Wipe(svid.mutable_x509_svid_key()->data(), svid.x509_svid_key().size());
  }
  return bytes;
}

std::string DelegatedX509BundlesAnswer(const ServedState::Bundles& bundles) {
  v1::SubscribeToX509BundlesResponse response;
  for (const auto& [trust_domain, bundle] : bundles) {
    (*response.mutable_ca_certificates())[IdOf(trust_domain)] = bundle.x509_authorities;
  }
  return AnswerBytes(response);
}

std::string DelegatedJwtBundlesAnswer(const ServedState::Bundles& bundles) {
  v1::SubscribeToJWTBundlesResponse response;
  for (const auto& [trust_domain, bundle] : bundles) {
    (*response.mutable_bundles())[IdOf(trust_domain)] = bundle.jwt_document;
  }
  return AnswerBytes(response);
}

absl::Status AddDelegatedJwtSvid(const DelegatedJwtItem& item,
                                 v1::FetchJWTSVIDsResponse& response) {
  const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(item.spiffe_id);
  const absl::StatusOr<int64_t> issued_at = IssuedAt(item.token);
  if (!id.ok() || !issued_at.ok()) {
    return Internal("the JWT-SVID of {} does not parse", Quoted(item.spiffe_id));
  }
  spire::api::types::JWTSVID& svid = *response.add_svids();
  FillId(*id, *svid.mutable_id());
  svid.set_token(item.token.data(), item.token.size());
  svid.set_issued_at(*issued_at);
  svid.set_expires_at(item.expires_at);
  svid.set_hint(std::string(item.hint));
  return absl::OkStatus();
}

}  // namespace assay
