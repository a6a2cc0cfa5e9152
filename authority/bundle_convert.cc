// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/bundle_convert.h"

#include "spire/api/types/bundle.pb.h"

namespace assay {

namespace types = spire::api::types;

namespace {

types::BundleMask MakeAllOfBundle() {
  types::BundleMask mask;
  mask.set_x509_authorities(true);
  mask.set_jwt_authorities(true);
  mask.set_refresh_hint(true);
  mask.set_sequence_number(true);
  mask.set_wit_authorities(true);
  return mask;
}

}  // namespace

absl::StatusOr<std::vector<X509Authority>> ParseX509Authorities(const ProtoX509Authorities& sent) {
  std::vector<X509Authority> authorities;
  for (const types::X509Certificate& authority : sent) {
    ASSIGN_OR_RETURN(std::vector<crypto::Certificate> certificates,
                     crypto::Certificate::ParseConcatenated(authority.asn1()));
    for (crypto::Certificate& certificate : certificates) {
      authorities.push_back(
          {.certificate = std::move(certificate), .tainted = authority.tainted()});
    }
  }
  return authorities;
}

absl::StatusOr<JwtAuthority> ParseJwtAuthority(const types::JWTKey& sent) {
  ASSIGN_OR_RETURN(crypto::PublicKey key, crypto::PublicKey::ParseSpki(sent.public_key()));
  if (sent.key_id().empty()) {
    return InvalidArgument("missing key ID");
  }
  return JwtAuthority{.key_id = sent.key_id(),
                      .public_key = std::move(key),
                      .expires_at = sent.expires_at(),
                      .tainted = sent.tainted()};
}

absl::StatusOr<std::vector<JwtAuthority>> ParseJwtAuthorities(const ProtoJwtAuthorities& sent) {
  std::vector<JwtAuthority> authorities;
  for (const types::JWTKey& key : sent) {
    ASSIGN_OR_RETURN(JwtAuthority authority, ParseJwtAuthority(key));
    authorities.push_back(std::move(authority));
  }
  return authorities;
}

absl::StatusOr<TrustBundle> ParseBundle(const types::Bundle& sent) {
  absl::StatusOr<TrustDomain> trust_domain = TrustDomain::Parse(sent.trust_domain());
  RETURN_IF_ERROR(WithContext(trust_domain.status(), "invalid trust domain"));
  auto x509 = ParseX509Authorities(sent.x509_authorities());
  RETURN_IF_ERROR(WithContext(x509.status(), "unable to parse X.509 authority"));
  auto jwt = ParseJwtAuthorities(sent.jwt_authorities());
  RETURN_IF_ERROR(WithContext(jwt.status(), "unable to parse JWT authority"));
  return TrustBundle{.trust_domain = *std::move(trust_domain),
                     .x509_authorities = *std::move(x509),
                     .jwt_authorities = *std::move(jwt),
                     .sequence_number = sent.sequence_number(),
                     .refresh_hint = absl::Seconds(sent.refresh_hint())};
}

TrustBundle ApplyUpdate(const TrustBundle& bundle, const TrustBundle& update,
                        const types::BundleMask& mask) {
  TrustBundle updated = bundle;
  if (mask.x509_authorities()) {
    updated.x509_authorities = update.x509_authorities;
  }
  if (mask.jwt_authorities()) {
    updated.jwt_authorities = update.jwt_authorities;
  }
  if (mask.refresh_hint()) {
    updated.refresh_hint = update.refresh_hint;
  }
  if (mask.sequence_number()) {
    updated.sequence_number = update.sequence_number;
  }
  return updated;
}

const types::BundleMask& AllOfBundle() {
  static const types::BundleMask mask = MakeAllOfBundle();
  return mask;
}

void ToProto(const TrustBundle& bundle, const types::BundleMask& mask, types::Bundle* out) {
  out->set_trust_domain(bundle.trust_domain.name());
  if (mask.x509_authorities()) {
    for (const X509Authority& authority : bundle.x509_authorities) {
      types::X509Certificate* added = out->add_x509_authorities();
      added->set_asn1(authority.certificate.der());
      added->set_tainted(authority.tainted);
    }
  }
  if (mask.jwt_authorities()) {
    ToProto(bundle.jwt_authorities, out->mutable_jwt_authorities());
  }
  if (mask.refresh_hint()) {
    out->set_refresh_hint(absl::ToInt64Seconds(bundle.refresh_hint.value_or(absl::ZeroDuration())));
  }
  if (mask.sequence_number()) {
    out->set_sequence_number(bundle.sequence_number.value_or(0));
  }
}

void ToProto(const std::vector<JwtAuthority>& authorities, ProtoJwtAuthorities* out) {
  for (const JwtAuthority& authority : authorities) {
    types::JWTKey* added = out->Add();
    added->set_public_key(authority.public_key.spki());
    added->set_key_id(authority.key_id);
    added->set_expires_at(authority.expires_at);
    added->set_tainted(authority.tainted);
  }
}

std::string EncodeBundle(const TrustBundle& bundle) {
  types::Bundle message;
  ToProto(bundle, AllOfBundle(), &message);
  return message.SerializeAsString();
}

absl::StatusOr<TrustBundle> DecodeBundle(std::string_view bytes) {
  types::Bundle message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("a stored trust bundle is damaged");
  }
  absl::StatusOr<TrustBundle> bundle = ParseBundle(message);
  if (!bundle.ok()) {
    return DataLoss("stored trust bundle of {}: {}", Quoted(message.trust_domain()),
                    Message(bundle.status()));
  }
  return bundle;
}

}  // namespace assay
