// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/algorithm.h"

#include <algorithm>
#include <array>

#include "crypto/der_writer.h"
#include "crypto/wolfcrypt.h"

namespace assay::crypto {
namespace {

constexpr std::array<Curve, 3> kCurves = {{
    {"1.2.840.10045.3.1.7", 256, 32, ECC_SECP256R1},
    {"1.3.132.0.34", 384, 48, ECC_SECP384R1},
    {"1.3.132.0.35", 521, 66, ECC_SECP521R1},
}};

struct NamedHash {
  std::string_view oid;
  Hash hash;
};
constexpr std::array<NamedHash, 4> kHashes = {{
    {"1.3.14.3.2.26", Hash::kSha1},
    {"2.16.840.1.101.3.4.2.1", Hash::kSha256},
    {"2.16.840.1.101.3.4.2.2", Hash::kSha384},
    {"2.16.840.1.101.3.4.2.3", Hash::kSha512},
}};

struct NamedScheme {
  std::string_view oid;
  SignatureScheme scheme;
};
constexpr std::array<NamedScheme, 6> kSchemes = {{
    {"1.2.840.10045.4.3.2", {SignatureScheme::Kind::kEcdsa, Hash::kSha256}},
    {"1.2.840.10045.4.3.3", {SignatureScheme::Kind::kEcdsa, Hash::kSha384}},
    {"1.2.840.10045.4.3.4", {SignatureScheme::Kind::kEcdsa, Hash::kSha512}},
    {"1.2.840.113549.1.1.11", {SignatureScheme::Kind::kRsaPkcs1, Hash::kSha256}},
    {"1.2.840.113549.1.1.12", {SignatureScheme::Kind::kRsaPkcs1, Hash::kSha384}},
    {"1.2.840.113549.1.1.13", {SignatureScheme::Kind::kRsaPkcs1, Hash::kSha512}},
}};
constexpr std::string_view kOidPss = "1.2.840.113549.1.1.10";
constexpr std::string_view kOidMgf1 = "1.2.840.113549.1.1.8";

std::string_view OidOf(Hash hash) {
  return std::find_if(kHashes.begin(), kHashes.end(),
                      [hash](const NamedHash& named) { return named.hash == hash; })
      ->oid;
}

// AlgorithmIdentifier of a hash, with the NULL parameters that RFC 8017 writes.
std::string HashAlgorithm(Hash hash) {
  return DerSequence({DerObjectId(OidOf(hash)), DerNullValue()});
}

std::string PssParameters(Hash hash) {
  const std::string mask = DerSequence({DerObjectId(kOidMgf1), HashAlgorithm(hash)});
  return DerSequence(
      {DerWrap(DerContextConstructed(0), HashAlgorithm(hash)),
       DerWrap(DerContextConstructed(1), mask),
       DerWrap(DerContextConstructed(2), DerSmall(static_cast<unsigned>(DigestSize(hash))))});
}

// PSS parameters are compared with what we would write: the hash, MGF1 with the same hash, a salt
// of the hash's size, the trailer by default. Some writers leave out the NULLs.
absl::StatusOr<SignatureScheme> ParsePss(std::string_view parameters) {
  for (const Hash hash : {Hash::kSha256, Hash::kSha384, Hash::kSha512}) {
    const std::string with_nulls = PssParameters(hash);
    if (parameters == with_nulls) {
      return SignatureScheme{SignatureScheme::Kind::kRsaPss, hash};
    }
    const std::string bare_hash = DerSequence({DerObjectId(OidOf(hash))});
    const std::string bare = DerSequence(
        {DerWrap(DerContextConstructed(0), bare_hash),
         DerWrap(DerContextConstructed(1), DerSequence({DerObjectId(kOidMgf1), bare_hash})),
         DerWrap(DerContextConstructed(2), DerSmall(static_cast<unsigned>(DigestSize(hash))))});
    if (parameters == bare) {
      return SignatureScheme{SignatureScheme::Kind::kRsaPss, hash};
    }
  }
  return NotFound("signature algorithm RSASSA-PSS with these parameters is not supported");
}

}  // namespace

const Curve* FindCurve(std::string_view oid) {
  const auto* found = std::find_if(kCurves.begin(), kCurves.end(),
                                   [oid](const Curve& curve) { return curve.oid == oid; });
  return found == kCurves.end() ? nullptr : found;
}

const Curve* FindCurve(size_t bits) {
  const auto* found = std::find_if(kCurves.begin(), kCurves.end(),
                                   [bits](const Curve& curve) { return curve.bits == bits; });
  return found == kCurves.end() ? nullptr : found;
}

std::string EcAlgorithm(const Curve& curve) {
  return DerSequence({DerObjectId(kOidEcPublicKey), DerObjectId(curve.oid)});
}

std::string RsaAlgorithm() { return DerSequence({DerObjectId(kOidRsaEncryption), DerNullValue()}); }

absl::StatusOr<SignatureScheme> ParseSignatureAlgorithm(std::string_view whole) {
  constexpr std::string_view kWhat = "signature algorithm";
  DerReader outer(whole);
  ASSIGN_OR_RETURN(DerReader reader, outer.Enter(kDerSequence, kWhat));
  RETURN_IF_ERROR(outer.End(kWhat));
  ASSIGN_OR_RETURN(const std::string oid, reader.ReadOid(kWhat));
  const std::string_view parameters = reader.rest();
  if (!reader.AtEnd()) {
    RETURN_IF_ERROR(reader.ReadAny().status());
    RETURN_IF_ERROR(reader.End(kWhat));
  }
  if (oid == kOidPss) {
    return ParsePss(parameters);
  }
  const auto* found = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&oid](const NamedScheme& named) { return named.oid == oid; });
  if (found == kSchemes.end()) {
    return NotFound("signature algorithm {} is not supported", oid);
  }
  const bool is_rsa = found->scheme.kind == SignatureScheme::Kind::kRsaPkcs1;
  if (!parameters.empty() && !(is_rsa && parameters == DerNullValue())) {
    return InvalidArgument("signature algorithm {} has parameters it must not have", oid);
  }
  return found->scheme;
}

absl::StatusOr<std::string> SignatureAlgorithm(const SignatureScheme& scheme) {
  if (scheme.hash == Hash::kSha1) {
    return InvalidArgument("certificates are not signed with SHA-1");
  }
  if (scheme.kind == SignatureScheme::Kind::kRsaPss) {
    return DerSequence({DerObjectId(kOidPss), PssParameters(scheme.hash)});
  }
  const auto* found =
      std::find_if(kSchemes.begin(), kSchemes.end(),
                   [&scheme](const NamedScheme& named) { return named.scheme == scheme; });
  if (scheme.kind == SignatureScheme::Kind::kRsaPkcs1) {
    return DerSequence({DerObjectId(found->oid), DerNullValue()});
  }
  return DerSequence({DerObjectId(found->oid)});
}

std::string DigestInfo(Hash hash, std::string_view digest) {
  return DerSequence({HashAlgorithm(hash), DerOctets(digest)});
}

}  // namespace assay::crypto
