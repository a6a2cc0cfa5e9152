// SPDX-License-Identifier: GPL-3.0-or-later
// Writing certificates and certification requests: the DER is ours, the signature any Signer's.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/distinguished_name.h"
#include "crypto/key.h"

namespace assay::crypto {

struct CertificateTemplate {
  std::string serial;  // Big-endian bytes, 1 to 20 of them, positive.
  DistinguishedName subject;
  absl::Time not_before, not_after;
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
  bool is_ca = false;                           // Basic constraints, critical either way.
  unsigned key_usage = 0;                       // KeyUsage bits; the extension is critical.
  std::vector<std::string> extended_key_usage;  // Dotted identifiers.
};

constexpr std::string_view kServerAuth = "1.3.6.1.5.5.7.3.1";
constexpr std::string_view kClientAuth = "1.3.6.1.5.5.7.3.2";

// A random positive serial below 2^128, as big-endian bytes.
std::string RandomSerial();

// DER of a certificate for subject_key. SKI is the key's identifier; AKI and issuer come from
// issuer, or, when that is null, the certificate is self-signed with the subject's own name.
// The SAN extension is critical when the subject is empty (RFC 5280 §4.2.1.6).
absl::StatusOr<std::string> IssueCertificate(const CertificateTemplate& what,
                                             const PublicKey& subject_key,
                                             const Certificate* issuer, const Signer& issuer_key);

// DER of a PKCS#10 request (RFC 2986) with these subject, URI and DNS SANs.
struct RequestTemplate {
  DistinguishedName subject;
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
};
absl::StatusOr<std::string> MakeCertificateRequest(const RequestTemplate& what, const Signer& key);

// A parsed PKCS#10 request.
struct CertificateRequest {
  static constexpr size_t kMaxBytes = 64 << 10;

  PublicKey public_key;
  DistinguishedName subject;  // Unknown attribute types are left out.
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
  absl::Status self_signature;  // OK when the request is signed by its own key.

  static absl::StatusOr<CertificateRequest> Parse(std::string_view der);
};

}  // namespace assay::crypto
