// SPDX-License-Identifier: GPL-3.0-or-later
// A trust bundle: the authorities of one trust domain that its SVIDs are verified by (SPIFFE Trust
// Domain and Bundle §4), and its JWKS document form.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "spiffe/trust_domain.h"

namespace assay {

struct X509Authority {
  crypto::Certificate certificate;
  bool tainted = false;
  bool operator==(const X509Authority&) const = default;
};

struct JwtAuthority {
  std::string key_id;
  crypto::PublicKey public_key;
  int64_t expires_at = 0;  // Unix seconds; 0: never.
  bool tainted = false;
  bool operator==(const JwtAuthority&) const = default;
};

struct TrustBundle {
  TrustDomain trust_domain;
  std::vector<X509Authority> x509_authorities;
  std::vector<JwtAuthority> jwt_authorities;
  std::optional<uint64_t> sequence_number;
  std::optional<absl::Duration> refresh_hint;

  // The authorities' certificates alone.
  std::vector<crypto::Certificate> Roots() const;
  // DER of the certificates, concatenated: the Workload API's form.
  std::string X509Der() const;
  bool operator==(const TrustBundle&) const = default;
};

// A SPIFFE bundle document (TDB §4): entries of unknown kty, use or curve are ignored; a document
// without a keys array, with a sequence that is not an unsigned 64-bit integer, or a hint that is
// not an integer is InvalidArgument.
absl::StatusOr<TrustBundle> ParseBundleDocument(const TrustDomain& trust_domain,
                                                std::string_view json);
// The whole document; and the jwt-svid keys alone as FetchJWTBundles carries them.
std::string ToBundleDocument(const TrustBundle& bundle);
std::string ToJwtBundleDocument(const TrustBundle& bundle);
// PEM certificates as a bundle of X.509 authorities.
absl::StatusOr<TrustBundle> ParsePemBundle(const TrustDomain& trust_domain, std::string_view pem);

}  // namespace assay
