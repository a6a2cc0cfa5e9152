// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/issue.h"

#include <algorithm>

#include "crypto/algorithm.h"
#include "crypto/certificate_writer.h"
#include "crypto/der_writer.h"
#include "crypto/digest.h"

namespace assay::crypto {
namespace {

constexpr size_t kSerialBytes = 16;
constexpr size_t kMaxSerialBytes = 20;
constexpr unsigned kVersion3 = 2;

absl::Status CheckSerial(std::string_view serial) {
  const std::string_view digits =
      serial.substr(std::min(serial.find_first_not_of('\0'), serial.size()));
  // Its DER has 20 bytes at most, and one goes to the sign when the highest bit is set.
  const bool signed_byte = !digits.empty() && (digits.front() & 0x80) != 0;
  if (digits.empty() || digits.size() + (signed_byte ? 1 : 0) > kMaxSerialBytes) {
    return InvalidArgument("serial number of {} bytes, wanted a positive one of 1 to {}",
                           digits.size(), kMaxSerialBytes);
  }
  return absl::OkStatus();
}

// Whether absl::FromCivil's year of it has four digits.
bool HasFourDigitYear(absl::Time time) {
  const auto year = absl::ToCivilYear(time, absl::UTCTimeZone()).year();
  return year >= 0 && year <= 9999;
}

bool IsDottedOid(std::string_view text) {
  const bool digits_and_dots = text.find_first_not_of("0123456789.") == text.npos;
  return digits_and_dots && text.size() >= 3 && text[0] >= '0' && text[0] <= '2' &&
         text[1] == '.' && text.back() != '.' && text.find("..") == text.npos;
}

absl::Status CheckNames(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const bool visible =
        std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < '\x7f'; });
    if (name.empty() || !visible) {
      return InvalidArgument("subject alternative name cannot be {}", Quoted(name));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<AltNames> AltNamesOf(const std::vector<std::string>& uris,
                                    const std::vector<std::string>& dns_names) {
  RETURN_IF_ERROR(CheckNames(uris));
  RETURN_IF_ERROR(CheckNames(dns_names));
  return AltNames{uris, dns_names};
}

absl::StatusOr<std::string> ExtendedKeyUsageOf(const std::vector<std::string>& purposes) {
  std::string list;
  for (const std::string& purpose : purposes) {
    if (!IsDottedOid(purpose)) {
      return InvalidArgument("extended key usage cannot be {}", Quoted(purpose));
    }
    list += DerObjectId(purpose);
  }
  return DerWrap(kDerSequence, list);
}

std::string AuthorityKeyIdOf(const Certificate& issuer) {
  const std::string& id = issuer.subject_key_id();
  return DerSequence(
      {DerWrap(DerContext(0), id.empty() ? issuer.public_key().KeyIdentifier() : id)});
}

// tbs with the signature of it: the shape of certificates and of requests.
absl::StatusOr<std::string> SignTbs(const std::string& tbs, const SignatureScheme& scheme,
                                    const Signer& key) {
  ASSIGN_OR_RETURN(const std::string algorithm, SignatureAlgorithm(scheme));
  ASSIGN_OR_RETURN(const std::string signature, Sign(key, scheme, tbs));
  return DerSequence({tbs, algorithm, DerBits(signature)});
}

}  // namespace

std::string RandomSerial() {
  std::string serial;
  do {
    serial = RandomBytes(kSerialBytes);
  } while (serial.find_first_not_of('\0') == serial.npos);
  return serial;
}

absl::StatusOr<std::vector<Extension>> ExtensionsFor(const CertificateTemplate& what,
                                                     const PublicKey& subject_key,
                                                     const Certificate* issuer) {
  std::vector<Extension> extensions;
  const auto add = [&extensions](std::string_view oid, bool critical, std::string value) {
    extensions.push_back({std::string(oid), critical, std::move(value)});
  };
  if (what.key_usage != 0) {
    add(kOidKeyUsage, true, DerNamedBits(what.key_usage));
  }
  if (!what.extended_key_usage.empty()) {
    ASSIGN_OR_RETURN(std::string purposes, ExtendedKeyUsageOf(what.extended_key_usage));
    add(kOidExtendedKeyUsage, false, std::move(purposes));
  }
  add(kOidBasicConstraints, true, WriteBasicConstraints({what.is_ca, std::nullopt}));
  add(kOidSubjectKeyId, false, DerOctets(subject_key.KeyIdentifier()));
  if (issuer != nullptr) {
    add(kOidAuthorityKeyId, false, AuthorityKeyIdOf(*issuer));
  }
  if (!what.uris.empty() || !what.dns_names.empty()) {
    ASSIGN_OR_RETURN(const AltNames names, AltNamesOf(what.uris, what.dns_names));
    add(kOidSubjectAltName, what.subject.empty(), WriteAltNames(names));
  }
  return extensions;
}

absl::StatusOr<std::string> SignCertificate(const CertificateParts& parts,
                                            const PublicKey& subject_key,
                                            const Signer& issuer_key) {
  const SignatureScheme scheme = issuer_key.public_key().DefaultScheme();
  ASSIGN_OR_RETURN(const std::string algorithm, SignatureAlgorithm(scheme));
  const std::string validity = DerSequence({DerTime(parts.not_before), DerTime(parts.not_after)});
  const std::string extensions =
      parts.extensions.empty()
          ? ""
          : DerWrap(DerContextConstructed(3), WriteExtensions(parts.extensions));
  const std::string tbs = DerSequence({DerWrap(DerContextConstructed(0), DerSmall(kVersion3)),
                                       DerUnsigned(parts.serial), algorithm, parts.issuer, validity,
                                       parts.subject, subject_key.spki(), extensions});
  return SignTbs(tbs, scheme, issuer_key);
}

absl::StatusOr<std::string> IssueCertificate(const CertificateTemplate& what,
                                             const PublicKey& subject_key,
                                             const Certificate* issuer, const Signer& issuer_key) {
  RETURN_IF_ERROR(CheckSerial(what.serial));
  if (!HasFourDigitYear(what.not_before) || !HasFourDigitYear(what.not_after) ||
      what.not_after < what.not_before) {
    return InvalidArgument("validity from {} to {}", absl::FormatTime(what.not_before),
                           absl::FormatTime(what.not_after));
  }
  const PublicKey& wanted = issuer != nullptr ? issuer->public_key() : subject_key;
  if (issuer_key.public_key() != wanted) {
    return InvalidArgument("the signing key is not the one of the issuer's certificate");
  }
  ASSIGN_OR_RETURN(std::vector<Extension> extensions, ExtensionsFor(what, subject_key, issuer));
  ASSIGN_OR_RETURN(const std::string subject, WriteName(what.subject));
  return SignCertificate({.serial = what.serial,
                          .issuer = issuer != nullptr ? issuer->subject() : subject,
                          .subject = subject,
                          .not_before = what.not_before,
                          .not_after = what.not_after,
                          .extensions = std::move(extensions)},
                         subject_key, issuer_key);
}

absl::StatusOr<std::string> MakeCertificateRequest(const RequestTemplate& what, const Signer& key) {
  ASSIGN_OR_RETURN(const AltNames names, AltNamesOf(what.uris, what.dns_names));
  ASSIGN_OR_RETURN(const std::string subject, WriteName(what.subject));
  std::string attributes;
  if (!what.uris.empty() || !what.dns_names.empty()) {
    const std::string extensions = WriteExtensions(
        {{std::string(kOidSubjectAltName), what.subject.empty(), WriteAltNames(names)}});
    attributes = DerSequence({DerObjectId(kOidExtensionRequest), DerWrap(kDerSet, extensions)});
  }
  const std::string tbs = DerSequence({DerSmall(0), subject, key.public_key().spki(),
                                       DerWrap(DerContextConstructed(0), attributes)});
  return SignTbs(tbs, key.public_key().DefaultScheme(), key);
}

}  // namespace assay::crypto
