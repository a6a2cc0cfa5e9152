// SPDX-License-Identifier: GPL-3.0-or-later
// Object identifiers of keys and signatures, and AlgorithmIdentifier (RFC 5280 §4.1.1.2) in DER.
#pragma once

#include <string>
#include <string_view>

#include "crypto/der_reader.h"
#include "crypto/key.h"

namespace assay::crypto {

constexpr std::string_view kOidEcPublicKey = "1.2.840.10045.2.1";
constexpr std::string_view kOidRsaEncryption = "1.2.840.113549.1.1.1";

struct Curve {
  std::string_view oid;
  size_t bits;
  size_t size;  // Bytes of a coordinate and of a scalar.
  int wolf_id;
};
// P-256, P-384 or P-521 by identifier or by size; null when it is none of them.
const Curve* FindCurve(std::string_view oid);
const Curve* FindCurve(size_t bits);

// AlgorithmIdentifier of a subjectPublicKeyInfo.
std::string EcAlgorithm(const Curve& curve);
std::string RsaAlgorithm();

// The scheme that an AlgorithmIdentifier names: whole is the SEQUENCE. NotFound when it is well
// formed and none of ours: SHA-1 signatures, EdDSA, PSS with a salt of other than the hash's size.
absl::StatusOr<SignatureScheme> ParseSignatureAlgorithm(std::string_view whole);
// InvalidArgument for a hash that is not SHA-256, SHA-384 or SHA-512.
absl::StatusOr<std::string> SignatureAlgorithm(const SignatureScheme& scheme);

// DER of DigestInfo (RFC 8017 §9.2) of a digest.
std::string DigestInfo(Hash hash, std::string_view digest);

}  // namespace assay::crypto
