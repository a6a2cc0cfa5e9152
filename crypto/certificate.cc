// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/certificate.h"

#include "crypto/algorithm.h"
#include "crypto/der_reader.h"
#include "crypto/distinguished_name.h"
#include "crypto/extensions.h"
#include "crypto/pem.h"
#include "crypto/serial_number.h"

namespace assay::crypto {

// Fills a certificate from its DER, one part a function.
class CertificateParser {
 public:
  static absl::StatusOr<Certificate> Parse(std::string_view der) {
    CertificateParser parser;
    RETURN_IF_ERROR(parser.ParseOuter(der));
    return std::move(parser.certificate_);
  }

 private:
  absl::Status ParseOuter(std::string_view der);
  absl::Status ParseTbs(DerReader reader);
  absl::Status ParseVersion(DerReader& reader);
  absl::Status ParseSerial(DerReader& reader);
  absl::Status ParseNames(std::string_view issuer, std::string_view subject);
  absl::Status ParseValidity(DerReader& reader);
  absl::Status ParseTail(DerReader& reader);
  absl::Status TakeExtension(const Extension& extension);
  absl::Status TakeAltNames(const Extension& extension);

  Certificate certificate_;
  int version_ = 1;
  std::string_view algorithm_;
};

absl::Status CertificateParser::ParseOuter(std::string_view der) {
  if (der.size() > Certificate::kMaxBytes) {
    return InvalidArgument("{} bytes, wanted at most {}", der.size(), Certificate::kMaxBytes);
  }
  certificate_.der_ = der;
  DerReader outer(certificate_.der_);
  ASSIGN_OR_RETURN(DerReader reader, outer.Enter(kDerSequence, "outer sequence"));
  RETURN_IF_ERROR(outer.End("outer sequence"));
  ASSIGN_OR_RETURN(const DerElement tbs, reader.Read(kDerSequence, "signed part"));
  ASSIGN_OR_RETURN(const DerElement algorithm, reader.Read(kDerSequence, "signature algorithm"));
  ASSIGN_OR_RETURN(const std::string_view signature, reader.ReadBitString("signature"));
  RETURN_IF_ERROR(reader.End("outer sequence"));
  certificate_.tbs_ = tbs.whole;
  certificate_.signature_ = signature;
  algorithm_ = algorithm.whole;
  const absl::StatusOr<SignatureScheme> scheme = ParseSignatureAlgorithm(algorithm_);
  if (scheme.ok()) {
    certificate_.signature_scheme_ = *scheme;
  } else if (!absl::IsNotFound(scheme.status())) {
    return scheme.status();
  }
  return ParseTbs(DerReader(tbs.content));
}

absl::Status CertificateParser::ParseTbs(DerReader reader) {
  RETURN_IF_ERROR(ParseVersion(reader));
  RETURN_IF_ERROR(ParseSerial(reader));
  ASSIGN_OR_RETURN(const DerElement algorithm, reader.Read(kDerSequence, "signature algorithm"));
  if (algorithm.whole != algorithm_) {
    return InvalidArgument("the signed and the unsigned signature algorithm differ");
  }
  ASSIGN_OR_RETURN(const DerElement issuer, reader.Read(kDerSequence, "issuer"));
  RETURN_IF_ERROR(ParseValidity(reader));
  ASSIGN_OR_RETURN(const DerElement subject, reader.Read(kDerSequence, "subject"));
  RETURN_IF_ERROR(ParseNames(issuer.whole, subject.whole));
  ASSIGN_OR_RETURN(const DerElement key, reader.Read(kDerSequence, "public key"));
  ASSIGN_OR_RETURN(certificate_.public_key_, PublicKey::ParseSpki(key.whole));
  return ParseTail(reader);
}

absl::Status CertificateParser::ParseVersion(DerReader& reader) {
  if (!reader.NextIs(DerContextConstructed(0))) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(DerReader field, reader.Enter(DerContextConstructed(0), "version"));
  ASSIGN_OR_RETURN(const int number, field.ReadSmall("version"));
  RETURN_IF_ERROR(field.End("version"));
  if (number != 1 && number != 2) {
    return InvalidArgument("version number {}, wanted 1 or 2, or none", number);
  }
  version_ = number + 1;
  return absl::OkStatus();
}

absl::Status CertificateParser::ParseSerial(DerReader& reader) {
  ASSIGN_OR_RETURN(const std::string_view serial, reader.ReadUnsigned("serial number"));
  if (serial.size() > kMaxSerialBytes) {
    return InvalidArgument("serial number of {} bytes", serial.size());
  }
  certificate_.serial_bytes_ = serial.empty() ? std::string(1, '\0') : std::string(serial);
  certificate_.serial_ = DecimalSerial(serial);
  return absl::OkStatus();
}

absl::Status CertificateParser::ParseValidity(DerReader& reader) {
  ASSIGN_OR_RETURN(DerReader validity, reader.Enter(kDerSequence, "validity"));
  ASSIGN_OR_RETURN(certificate_.not_before_, validity.ReadTime("not before"));
  ASSIGN_OR_RETURN(certificate_.not_after_, validity.ReadTime("not after"));
  return validity.End("validity");
}

absl::Status CertificateParser::ParseNames(std::string_view issuer, std::string_view subject) {
  absl::StatusOr<std::vector<NameAttribute>> issuer_name = ParseName(issuer);
  if (!issuer_name.ok()) {
    return WithContext(issuer_name.status(), "issuer");
  }
  absl::StatusOr<std::vector<NameAttribute>> subject_name = ParseName(subject);
  if (!subject_name.ok()) {
    return WithContext(subject_name.status(), "subject");
  }
  certificate_.issuer_ = issuer;
  certificate_.subject_ = subject;
  certificate_.issuer_cn_ = CommonNameOf(*issuer_name);
  certificate_.subject_cn_ = CommonNameOf(*subject_name);
  return absl::OkStatus();
}

// Unique identifiers, which nobody uses, and extensions.
absl::Status CertificateParser::ParseTail(DerReader& reader) {
  for (const unsigned number : {1u, 2u}) {
    if (version_ >= 2 && reader.NextIs(DerContext(number))) {
      RETURN_IF_ERROR(reader.Read(DerContext(number), "unique identifier").status());
    }
  }
  if (version_ == 3 && reader.NextIs(DerContextConstructed(3))) {
    ASSIGN_OR_RETURN(DerReader field, reader.Enter(DerContextConstructed(3), "extensions"));
    ASSIGN_OR_RETURN(const DerReader list, field.Enter(kDerSequence, "extensions"));
    RETURN_IF_ERROR(field.End("extensions"));
    ASSIGN_OR_RETURN(const std::vector<Extension> extensions, ParseExtensions(list));
    for (const Extension& extension : extensions) {
      RETURN_IF_ERROR(TakeExtension(extension));
    }
  }
  return reader.End("signed part");
}

absl::Status CertificateParser::TakeExtension(const Extension& extension) {
  Certificate& to = certificate_;
  const std::string& value = extension.value;
  if (extension.oid == kOidSubjectAltName) {
    return TakeAltNames(extension);
  }
  if (extension.oid == kOidBasicConstraints) {
    ASSIGN_OR_RETURN(const BasicConstraints constraints, ParseBasicConstraints(value));
    to.is_ca_ = constraints.is_ca;
    to.path_length_ = constraints.path_length;
  } else if (extension.oid == kOidKeyUsage) {
    ASSIGN_OR_RETURN(to.key_usage_, ParseKeyUsage(value));
    to.key_usage_critical_ = extension.critical;
  } else if (extension.oid == kOidExtendedKeyUsage) {
    ASSIGN_OR_RETURN(to.extended_key_usage_, ParseExtendedKeyUsage(value));
  } else if (extension.oid == kOidNameConstraints) {
    ASSIGN_OR_RETURN(to.name_constraints_, ParseNameConstraints(value));
  } else if (extension.oid == kOidSubjectKeyId) {
    ASSIGN_OR_RETURN(to.subject_key_id_, ParseSubjectKeyId(value));
  } else if (extension.oid == kOidAuthorityKeyId) {
    ASSIGN_OR_RETURN(to.authority_key_id_, ParseAuthorityKeyId(value));
  } else if (extension.critical) {
    to.unknown_critical_.push_back(extension.oid);
  }
  return absl::OkStatus();
}

absl::Status CertificateParser::TakeAltNames(const Extension& extension) {
  ASSIGN_OR_RETURN(AltNames names, ParseAltNames(extension.value));
  // A critical extension of names none of which we read is one that we do not process: the
  // endorsement certificates of TPMs have a directory name alone.
  if (extension.critical && names.uris.empty() && names.dns_names.empty()) {
    certificate_.unknown_critical_.push_back(extension.oid);
  }
  certificate_.uris_ = std::move(names.uris);
  certificate_.dns_names_ = std::move(names.dns_names);
  return absl::OkStatus();
}

absl::StatusOr<Certificate> Certificate::Parse(std::string_view der) {
  absl::StatusOr<Certificate> certificate = CertificateParser::Parse(der);
  if (!certificate.ok()) {
    return WithContext(certificate.status(), "certificate does not parse");
  }
  return certificate;
}

absl::StatusOr<std::vector<Certificate>> Certificate::ParseConcatenated(std::string_view der) {
  std::vector<Certificate> certificates;
  DerReader reader(der);
  do {
    const absl::StatusOr<DerElement> element = reader.ReadAny();
    const auto number = fmt::format("certificate {}", certificates.size() + 1);
    if (!element.ok()) {
      return WithContext(element.status(), number);
    }
    absl::StatusOr<Certificate> certificate = Parse(element->whole);
    if (!certificate.ok()) {
      return WithContext(certificate.status(), number);
    }
    certificates.push_back(*std::move(certificate));
  } while (!reader.AtEnd());
  return certificates;
}

absl::StatusOr<std::vector<Certificate>> Certificate::ParsePem(std::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<PemBlock> blocks, crypto::ParsePem(text));
  std::vector<Certificate> certificates;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].label != "CERTIFICATE") {
      continue;
    }
    absl::StatusOr<Certificate> certificate = Parse(blocks[i].der);
    if (!certificate.ok()) {
      return WithContext(certificate.status(), fmt::format("PEM block {}", i + 1));
    }
    certificates.push_back(*std::move(certificate));
  }
  if (certificates.empty()) {
    return InvalidArgument("no CERTIFICATE block in the PEM text");
  }
  return certificates;
}

std::string Certificate::SubjectText() const { return NameText(ParseName(subject_).value()); }

absl::Status Certificate::VerifySignedBy(const PublicKey& issuer) const {
  if (!signature_scheme_) {
    return PermissionDenied("the certificate's signature algorithm is not supported");
  }
  return issuer.Verify(*signature_scheme_, tbs_, signature_);
}

std::string Concatenate(const std::vector<Certificate>& certificates) {
  std::string der;
  for (const Certificate& certificate : certificates) {
    der += certificate.der();
  }
  return der;
}

}  // namespace assay::crypto
