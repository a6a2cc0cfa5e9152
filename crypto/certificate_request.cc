// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/algorithm.h"
#include "crypto/der_reader.h"
#include "crypto/extensions.h"
#include "crypto/issue.h"

namespace assay::crypto {
namespace {

// The names in extensionRequest, of which there is one at most; other attributes do not matter.
absl::StatusOr<AltNames> ParseAttributes(DerReader reader) {
  constexpr std::string_view kWhat = "attribute";
  AltNames names;
  bool seen = false;
  while (!reader.AtEnd()) {
    ASSIGN_OR_RETURN(DerReader attribute, reader.Enter(kDerSequence, kWhat));
    ASSIGN_OR_RETURN(const std::string oid, attribute.ReadOid(kWhat));
    ASSIGN_OR_RETURN(DerReader values, attribute.Enter(kDerSet, kWhat));
    RETURN_IF_ERROR(attribute.End(kWhat));
    if (oid != kOidExtensionRequest) {
      continue;
    }
    if (seen) {
      return InvalidArgument("extensions are requested twice");
    }
    seen = true;
    ASSIGN_OR_RETURN(const DerReader list, values.Enter(kDerSequence, "requested extensions"));
    RETURN_IF_ERROR(values.End("requested extensions"));
    ASSIGN_OR_RETURN(const std::vector<Extension> extensions, ParseExtensions(list));
    for (const Extension& extension : extensions) {
      if (extension.oid == kOidSubjectAltName) {
        ASSIGN_OR_RETURN(names, ParseAltNames(extension.value));
      }
    }
  }
  return names;
}

absl::Status VerifySelf(const PublicKey& key, std::string_view tbs, std::string_view algorithm,
                        std::string_view signature) {
  const absl::StatusOr<SignatureScheme> scheme = ParseSignatureAlgorithm(algorithm);
  if (!scheme.ok()) {
    return PermissionDenied("{}", Message(scheme.status()));
  }
  return key.Verify(*scheme, tbs, signature);
}

absl::StatusOr<CertificateRequest> ParseRequest(std::string_view der) {
  constexpr std::string_view kWhat = "outer sequence";
  if (der.size() > CertificateRequest::kMaxBytes) {
    return InvalidArgument("{} bytes, wanted at most {}", der.size(),
                           CertificateRequest::kMaxBytes);
  }
  DerReader outer(der);
  ASSIGN_OR_RETURN(DerReader reader, outer.Enter(kDerSequence, kWhat));
  RETURN_IF_ERROR(outer.End(kWhat));
  ASSIGN_OR_RETURN(const DerElement tbs, reader.Read(kDerSequence, "signed part"));
  ASSIGN_OR_RETURN(const DerElement algorithm, reader.Read(kDerSequence, "signature algorithm"));
  ASSIGN_OR_RETURN(const std::string_view signature, reader.ReadBitString("signature"));
  RETURN_IF_ERROR(reader.End(kWhat));

  DerReader fields(tbs.content);
  ASSIGN_OR_RETURN(const int version, fields.ReadSmall("version"));
  if (version != 0) {
    return InvalidArgument("version {}, wanted 0", version);
  }
  ASSIGN_OR_RETURN(const DerElement subject, fields.Read(kDerSequence, "subject"));
  ASSIGN_OR_RETURN(const std::vector<NameAttribute> name, ParseName(subject.whole));
  ASSIGN_OR_RETURN(const DerElement spki, fields.Read(kDerSequence, "public key"));
  ASSIGN_OR_RETURN(PublicKey key, PublicKey::ParseSpki(spki.whole));
  AltNames names;
  if (!fields.AtEnd()) {
    ASSIGN_OR_RETURN(const DerReader attributes,
                     fields.Enter(DerContextConstructed(0), "attributes"));
    ASSIGN_OR_RETURN(names, ParseAttributes(attributes));
    RETURN_IF_ERROR(fields.End("signed part"));
  }
  absl::Status self_signature = VerifySelf(key, tbs.whole, algorithm.whole, signature);
  return CertificateRequest{.public_key = std::move(key),
                            .subject = ToDistinguishedName(name),
                            .uris = std::move(names.uris),
                            .dns_names = std::move(names.dns_names),
                            .self_signature = std::move(self_signature)};
}

}  // namespace

absl::StatusOr<CertificateRequest> CertificateRequest::Parse(std::string_view der) {
  absl::StatusOr<CertificateRequest> request = ParseRequest(der);
  if (!request.ok()) {
    return WithContext(request.status(), "certificate request does not parse");
  }
  return request;
}

}  // namespace assay::crypto
