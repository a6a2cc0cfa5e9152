// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/x509_issuer.h"

#include <algorithm>

namespace assay {
namespace {

// For verifiers whose clocks are behind.
constexpr absl::Duration kBackdate = absl::Seconds(10);

}  // namespace

absl::StatusOr<crypto::Certificate> IssueX509Svid(const SigningAuthority& authority,
                                                  const X509SvidRequest& request, absl::Time now) {
  if (!authority.certificate.has_value() || authority.key == nullptr) {
    return Internal("signing authority {} is no X.509 CA that can sign", authority.id);
  }
  if (now >= authority.expires_at) {
    return Unavailable("the X.509 CA has expired");
  }
  crypto::CertificateTemplate leaf;
  leaf.serial = crypto::RandomSerial();
  leaf.subject = request.subject;
  if (!request.dns_names.empty()) {
    std::erase_if(leaf.subject, [](const auto& attribute) { return attribute.first == "CN"; });
    leaf.subject.emplace_back("CN", request.dns_names.front());
  }
  leaf.not_before = now - kBackdate;
  leaf.not_after = std::min(now + request.ttl, authority.expires_at);
  leaf.uris = {request.id.ToString()};
  leaf.dns_names = request.dns_names;
  leaf.key_usage = crypto::kDigitalSignature | crypto::kKeyEncipherment | crypto::kKeyAgreement;
  leaf.extended_key_usage = {std::string(crypto::kServerAuth), std::string(crypto::kClientAuth)};
  ASSIGN_OR_RETURN(
      const std::string der,
      crypto::IssueCertificate(leaf, request.key, &*authority.certificate, *authority.key));
  return crypto::Certificate::Parse(der);
}

}  // namespace assay
