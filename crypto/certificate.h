// SPDX-License-Identifier: GPL-3.0-or-later
// An X.509 certificate as parsed (RFC 5280): the fields that identity decisions need, and the DER
// they came from. Parsing is strict DER, bounded, and rejects trailing bytes.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/key.h"

namespace assay::crypto {

// Bits of the key usage extension.
enum KeyUsage : unsigned {
  kDigitalSignature = 1u << 0,
  kKeyEncipherment = 1u << 2,
  kKeyAgreement = 1u << 4,
  kKeyCertSign = 1u << 5,
  kCrlSign = 1u << 6,
};

struct NameConstraints {
  std::vector<std::string> permitted_uris, excluded_uris;
  bool has_others = false;  // Constraints on other name types are present.
};

class Certificate {
 public:
  static constexpr size_t kMaxBytes = 64 << 10;

  // Exactly one certificate.
  static absl::StatusOr<Certificate> Parse(std::string_view der);
  // One or more, concatenated, as the Workload API carries chains.
  static absl::StatusOr<std::vector<Certificate>> ParseConcatenated(std::string_view der);
  // Every CERTIFICATE block of a PEM text, at least one.
  static absl::StatusOr<std::vector<Certificate>> ParsePem(std::string_view text);

  const std::string& der() const { return der_; }
  const PublicKey& public_key() const { return *public_key_; }
  absl::Time not_before() const { return not_before_; }
  absl::Time not_after() const { return not_after_; }
  // The serial in decimal, as SPIRE's API carries it, and as big-endian bytes.
  const std::string& serial() const { return serial_; }
  const std::string& serial_bytes() const { return serial_bytes_; }
  // DER of the names, to compare; and the common names inside them, empty when none.
  const std::string& subject() const { return subject_; }
  const std::string& issuer() const { return issuer_; }
  const std::string& subject_cn() const { return subject_cn_; }
  const std::string& issuer_cn() const { return issuer_cn_; }
  // The subject as RFC 4514-like text: "O=SPIRE,C=US".
  std::string SubjectText() const;
  const std::vector<std::string>& uris() const { return uris_; }
  const std::vector<std::string>& dns_names() const { return dns_names_; }
  bool is_ca() const { return is_ca_; }
  std::optional<int> path_length() const { return path_length_; }
  // Absent when the certificate has no key usage extension.
  std::optional<unsigned> key_usage() const { return key_usage_; }
  bool key_usage_critical() const { return key_usage_critical_; }
  // Object identifiers in dotted form; empty when there is no extended key usage.
  const std::vector<std::string>& extended_key_usage() const { return extended_key_usage_; }
  const std::string& subject_key_id() const { return subject_key_id_; }
  const std::string& authority_key_id() const { return authority_key_id_; }
  const std::optional<NameConstraints>& name_constraints() const { return name_constraints_; }
  // Dotted identifiers of critical extensions that this parser does not process.
  const std::vector<std::string>& unknown_critical() const { return unknown_critical_; }

  // OK when issuer's key signed this certificate.
  absl::Status VerifySignedBy(const PublicKey& issuer) const;

  bool operator==(const Certificate& other) const { return der_ == other.der_; }

 private:
  friend class CertificateParser;
  Certificate() = default;

  std::string der_, tbs_, signature_;
  std::optional<SignatureScheme> signature_scheme_;
  std::optional<PublicKey> public_key_;
  absl::Time not_before_, not_after_;
  std::string serial_, serial_bytes_, subject_, issuer_, subject_cn_, issuer_cn_;
  std::vector<std::string> uris_, dns_names_, extended_key_usage_, unknown_critical_;
  bool is_ca_ = false, key_usage_critical_ = false;
  std::optional<int> path_length_;
  std::optional<unsigned> key_usage_;
  std::string subject_key_id_, authority_key_id_;
  std::optional<NameConstraints> name_constraints_;
};

// The DER of certificates, one after the other.
std::string Concatenate(const std::vector<Certificate>& certificates);

}  // namespace assay::crypto
