// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/answers.h"

#include <utility>

#include "base/log.h"
#include "crypto/issue.h"
#include "upstream/call_status.h"

namespace assay {
namespace {

namespace types = spire::api::types;

void AddX509Authorities(const types::Bundle& message, TrustBundle& bundle) {
  for (const types::X509Certificate& authority : message.x509_authorities()) {
    auto certificate = crypto::Certificate::Parse(authority.asn1());
    if (!certificate.ok()) {
      log::Warn("Left out a malformed X.509 authority",
                {{"trust_domain", bundle.trust_domain.name()}, {"error", certificate.status()}});
      continue;
    }
    bundle.x509_authorities.push_back(
        {.certificate = *std::move(certificate), .tainted = authority.tainted()});
  }
}

void AddJwtAuthorities(const types::Bundle& message, TrustBundle& bundle) {
  for (const types::JWTKey& authority : message.jwt_authorities()) {
    auto key = authority.key_id().empty() ? InvalidArgument("it has no key id")
                                          : crypto::PublicKey::ParseSpki(authority.public_key());
    if (!key.ok()) {
      log::Warn("Left out a malformed JWT authority", {{"trust_domain", bundle.trust_domain.name()},
                                                       {"key_id", authority.key_id()},
                                                       {"error", key.status()}});
      continue;
    }
    bundle.jwt_authorities.push_back({.key_id = authority.key_id(),
                                      .public_key = *std::move(key),
                                      .expires_at = authority.expires_at(),
                                      .tainted = authority.tainted()});
  }
}

void AddSelectors(const types::Entry& message, RegistrationEntry& entry) {
  std::vector<Selector> selectors;
  selectors.reserve(static_cast<size_t>(message.selectors_size()));
  for (const types::Selector& selector : message.selectors()) {
    selectors.push_back({.type = selector.type(), .value = selector.value()});
  }
  entry.selectors = Normalized(std::move(selectors));
}

absl::Status AddFederation(const types::Entry& message, RegistrationEntry& entry) {
  for (const std::string& name : message.federates_with()) {
    auto trust_domain = TrustDomain::Parse(name);
    if (!trust_domain.ok()) {
      return WithContext(trust_domain.status(), "federates_with");
    }
    entry.federates_with.push_back(*std::move(trust_domain));
  }
  return absl::OkStatus();
}

// A check of an answer that failed. PermissionDenied would be the upstream's word.
absl::Status WrongAnswer(const absl::Status& checked) {
  return checked.ok() ? checked : Internal("the upstream's answer: {}", Message(checked));
}

}  // namespace

std::optional<uint64_t> NumberOf(const types::Bundle& message) {
  return message.sequence_number() == 0 ? std::nullopt : std::optional(message.sequence_number());
}

absl::StatusOr<TrustBundle> BundleOf(const types::Bundle& message,
                                     const TrustDomain& trust_domain) {
  if (message.trust_domain() != trust_domain.name()) {
    return InvalidArgument("bundle is of trust domain {}, wanted {}",
                           Quoted(message.trust_domain()), trust_domain.name());
  }
  TrustBundle bundle{.trust_domain = trust_domain,
                     .x509_authorities = {},
                     .jwt_authorities = {},
                     .sequence_number = NumberOf(message),
                     .refresh_hint = {}};
  AddX509Authorities(message, bundle);
  if (bundle.x509_authorities.empty() && message.x509_authorities_size() > 0) {
    return InvalidArgument("bundle of {}: none of its {} X.509 authorities parses",
                           trust_domain.name(), message.x509_authorities_size());
  }
  AddJwtAuthorities(message, bundle);
  if (message.refresh_hint() > 0) {
    bundle.refresh_hint = absl::Seconds(message.refresh_hint());
  }
  return bundle;
}

absl::StatusOr<SpiffeId> IdOf(const types::SPIFFEID& message) {
  ASSIGN_OR_RETURN(const TrustDomain trust_domain, TrustDomain::Parse(message.trust_domain()));
  return SpiffeId::Create(trust_domain, message.path());
}

absl::StatusOr<RegistrationEntry> EntryOf(const types::Entry& message,
                                          const TrustDomain& trust_domain) {
  auto id = IdOf(message.spiffe_id());
  if (!id.ok()) {
    return WithContext(id.status(), "spiffe_id");
  }
  if (id->trust_domain() != trust_domain) {
    return InvalidArgument("spiffe_id: {} is not of trust domain {}", id->ToString(),
                           trust_domain.name());
  }
  RegistrationEntry entry{
      .id = message.id(),
      .spiffe_id = *std::move(id),
      .parent_id = {},
      .selectors = {},
      .federates_with = {},
      .dns_names = {},
      .hint = message.hint(),
      .created_at = message.created_at(),
      .revision_number = message.revision_number(),
      .admin = message.admin(),
      .downstream = message.downstream(),
      .store_svid = message.store_svid(),
      .disable_x509_svid_prefetch = message.additional_attributes().disable_x509_svid_prefetch(),
      .jwt_svid_include_jti = message.additional_attributes().jwt_svid_include_jti()};
  AddSelectors(message, entry);
  RETURN_IF_ERROR(AddFederation(message, entry));
  RETURN_IF_ERROR(Validate(entry));
  return entry;
}

absl::StatusOr<std::vector<crypto::Certificate>> ChainOf(const types::X509SVID& svid) {
  if (svid.cert_chain().empty()) {
    return InvalidArgument("svid has no certificate");
  }
  std::vector<crypto::Certificate> chain;
  for (const std::string& der : svid.cert_chain()) {
    auto certificate = crypto::Certificate::Parse(der);
    if (!certificate.ok()) {
      return WithContext(certificate.status(),
                         fmt::format("certificate {} of the svid", chain.size()));
    }
    chain.push_back(*std::move(certificate));
  }
  return chain;
}

absl::StatusOr<AttestationResult> AgentSvidOf(const types::X509SVID& message,
                                              const crypto::Signer& key,
                                              const TrustDomain& trust_domain) {
  ASSIGN_OR_RETURN(std::vector<crypto::Certificate> chain, ChainOf(message));
  absl::StatusOr<SpiffeId> id = ParseLeafId(chain.front());
  RETURN_IF_ERROR(WrongAnswer(id.status()));
  RETURN_IF_ERROR(WrongAnswer(CheckIssuedSvid(chain, *id, key.public_key())));
  if (id->trust_domain() != trust_domain || !id->is_agent()) {
    return Internal("the upstream's answer: svid is of {}, which is no agent of {}", id->ToString(),
                    trust_domain.name());
  }
  return AttestationResult{.id = *std::move(id), .chain = std::move(chain), .reattestable = false};
}

SvidResult SvidOf(const SvidRequest& request,
                  const spire::api::server::svid::v1::BatchNewX509SVIDResponse::Result& answer) {
  if (answer.status().code() != 0) {
    return {.status = CallStatus(answer.status().code(), answer.status().message(), {}),
            .chain = {}};
  }
  const auto csr = crypto::CertificateRequest::Parse(request.csr);
  if (!csr.ok()) {
    return {.status = csr.status(), .chain = {}};
  }
  auto chain = ChainOf(answer.svid());
  if (!chain.ok()) {
    return {.status = chain.status(), .chain = {}};
  }
  const auto id =
      csr->uris.empty() ? ParseLeafId(chain->front()) : SpiffeId::Parse(csr->uris.front());
  absl::Status checked =
      WrongAnswer(id.ok() ? CheckIssuedSvid(*chain, *id, csr->public_key) : id.status());
  if (!checked.ok()) {
    return {.status = std::move(checked), .chain = {}};
  }
  return {.status = absl::OkStatus(), .chain = *std::move(chain)};
}

}  // namespace assay
