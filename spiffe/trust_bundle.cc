// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/trust_bundle.h"

#include <utility>

namespace assay {

std::vector<crypto::Certificate> TrustBundle::Roots() const {
  std::vector<crypto::Certificate> roots;
  roots.reserve(x509_authorities.size());
  for (const X509Authority& authority : x509_authorities) {
    roots.push_back(authority.certificate);
  }
  return roots;
}

std::string TrustBundle::X509Der() const {
  std::string der;
  for (const X509Authority& authority : x509_authorities) {
    der += authority.certificate.der();
  }
  return der;
}

absl::StatusOr<TrustBundle> ParsePemBundle(const TrustDomain& trust_domain, std::string_view pem) {
  ASSIGN_OR_RETURN(std::vector<crypto::Certificate> certificates,
                   crypto::Certificate::ParsePem(pem));
  TrustBundle bundle{.trust_domain = trust_domain,
                     .x509_authorities = {},
                     .jwt_authorities = {},
                     .sequence_number = {},
                     .refresh_hint = {}};
  for (crypto::Certificate& certificate : certificates) {
    bundle.x509_authorities.push_back({.certificate = std::move(certificate)});
  }
  return bundle;
}

}  // namespace assay
