// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/jws.h"

#include <algorithm>
#include <array>
#include <optional>

#include "crypto/der_reader.h"
#include "crypto/der_writer.h"
#include "crypto/json_object.h"

namespace assay::crypto {
namespace {

using Kind = SignatureScheme::Kind;

constexpr size_t kMaxHeaderBytes = 16 << 10;
constexpr size_t kMaxSetBytes = 1 << 20;
constexpr size_t kMaxKeys = 1000;

struct Algorithm {
  std::string_view name;
  SignatureScheme scheme;
  size_t curve_bits;  // 0: RSA.
};
// RFC 7518 §3.1.
constexpr std::array<Algorithm, 9> kAlgorithms = {{
    {"RS256", {Kind::kRsaPkcs1, Hash::kSha256}, 0},
    {"RS384", {Kind::kRsaPkcs1, Hash::kSha384}, 0},
    {"RS512", {Kind::kRsaPkcs1, Hash::kSha512}, 0},
    {"PS256", {Kind::kRsaPss, Hash::kSha256}, 0},
    {"PS384", {Kind::kRsaPss, Hash::kSha384}, 0},
    {"PS512", {Kind::kRsaPss, Hash::kSha512}, 0},
    {"ES256", {Kind::kEcdsa, Hash::kSha256}, 256},
    {"ES384", {Kind::kEcdsa, Hash::kSha384}, 384},
    {"ES512", {Kind::kEcdsa, Hash::kSha512}, 521},
}};

const Algorithm* FindAlgorithm(std::string_view name) {
  const auto* found = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                   [name](const Algorithm& a) { return a.name == name; });
  return found == kAlgorithms.end() ? nullptr : found;
}

// Of a member that may be absent, but not of another kind.
absl::StatusOr<std::optional<std::string>> OptionalText(const JsonObject& header,
                                                        std::string_view name) {
  if (!header.Contains(name)) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(std::string text, header.Text(name));
  return text;
}

bool IsFor(const Algorithm& algorithm, const PublicKey& key) {
  return key.is_rsa() ? algorithm.curve_bits == 0 : key.bits() == algorithm.curve_bits;
}

// RFC 7518 §3.4: r and s, one after the other, each of this size, instead of DER.
absl::StatusOr<std::string> RawEcdsaSignature(std::string_view der, size_t size) {
  DerReader outer(der);
  ASSIGN_OR_RETURN(DerReader parts, outer.Enter(kDerSequence, "signature"));
  std::string raw;
  for (std::string_view name : {"r", "s"}) {
    ASSIGN_OR_RETURN(const std::string_view number, parts.ReadUnsigned(name));
    if (number.size() > size) {
      return Internal("the signer returned an ECDSA signature of another curve");
    }
    raw.append(size - number.size(), '\0').append(number);
  }
  return raw;
}

absl::StatusOr<std::string> NumberOf(const JsonObject& jwk, std::string_view name) {
  ASSIGN_OR_RETURN(const std::string text, jwk.Text(name));
  absl::StatusOr<std::string> bytes = Base64UrlDecode(text);
  if (!bytes.ok() || bytes->empty()) {
    return InvalidArgument("member {} is not base64url of a number", Quoted(name));
  }
  return bytes;
}

std::string WithoutLeadingZeros(std::string bytes) {
  bytes.erase(0, std::min(bytes.find_first_not_of('\0'), bytes.size()));
  return bytes;
}

absl::StatusOr<std::optional<PublicKey>> KeyOf(const JsonObject& jwk) {
  const std::string kind = jwk.Text("kty").value_or("");
  if (kind == "RSA") {
    ASSIGN_OR_RETURN(const std::string modulus, NumberOf(jwk, "n"));
    ASSIGN_OR_RETURN(const std::string exponent, NumberOf(jwk, "e"));
    return PublicKey::FromRsa(WithoutLeadingZeros(modulus), WithoutLeadingZeros(exponent));
  }
  const std::string curve = jwk.Text("crv").value_or("");
  if (kind != "EC" || (curve != "P-256" && curve != "P-384" && curve != "P-521")) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const std::string x, NumberOf(jwk, "x"));
  ASSIGN_OR_RETURN(const std::string y, NumberOf(jwk, "y"));
  ASSIGN_OR_RETURN(PublicKey key, PublicKey::FromEcPoint(x, y));
  if (fmt::format("P-{}", key.bits()) != curve) {
    return InvalidArgument("coordinates are not of curve {}", curve);
  }
  return key;
}

}  // namespace

absl::StatusOr<Jws> Jws::Parse(std::string_view token) {
  if (token.size() > kMaxBytes) {
    return InvalidArgument("token has {} bytes, wanted at most {}", token.size(), kMaxBytes);
  }
  const size_t first = token.find('.');
  const size_t second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) {
    return InvalidArgument("token is not three parts with dots between");
  }
  const auto header = Base64UrlDecode(token.substr(0, first));
  auto payload = Base64UrlDecode(token.substr(first + 1, second - first - 1));
  auto signature = Base64UrlDecode(token.substr(second + 1));
  if (!header.ok() || !payload.ok() || !signature.ok()) {
    return InvalidArgument("a part of the token is not base64url");
  }
  const absl::StatusOr<JsonObject> json = JsonObject::Parse(*header, kMaxHeaderBytes);
  RETURN_IF_ERROR(WithContext(json.status(), "header of the token"));
  Jws jws;
  jws.algorithm_ = json->Text("alg").value_or("");
  if (FindAlgorithm(jws.algorithm_) == nullptr) {
    return InvalidArgument("token has algorithm {}, wanted RS, PS or ES with 256, 384 or 512",
                           Quoted(jws.algorithm_));
  }
  if (json->Contains("crit")) {
    return InvalidArgument("token has critical header members, none of which is known");
  }
  const auto key_id = OptionalText(*json, "kid");
  RETURN_IF_ERROR(WithContext(key_id.status(), "header of the token"));
  jws.key_id_ = key_id->value_or("");
  auto type = OptionalText(*json, "typ");
  RETURN_IF_ERROR(WithContext(type.status(), "header of the token"));
  jws.type_ = *std::move(type);
  jws.payload_ = *std::move(payload);
  jws.signature_ = Secret::TakeFrom(*signature);
  jws.signed_text_ = Secret(token.substr(0, second));
  return jws;
}

absl::Status Jws::Verify(const PublicKey& key) const {
  const Algorithm& algorithm = *FindAlgorithm(algorithm_);
  if (!IsFor(algorithm, key)) {
    return PermissionDenied("the signature is of another kind than the key");
  }
  if (key.is_rsa()) {
    return key.Verify(algorithm.scheme, signed_text_.Reveal(), signature_.Reveal());
  }
  const size_t size = (algorithm.curve_bits + 7) / 8;
  if (signature_.size() != 2 * size) {
    return PermissionDenied("the signature has {} bytes, wanted {}", signature_.size(), 2 * size);
  }
  const std::string_view both = signature_.Reveal();
  return key.Verify(
      algorithm.scheme, signed_text_.Reveal(),
      DerSequence({DerUnsigned(both.substr(0, size)), DerUnsigned(both.substr(size))}));
}

std::string_view JwsAlgorithmOf(const PublicKey& key) {
  const SignatureScheme scheme = key.DefaultScheme();
  const auto* found = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                   [&](const Algorithm& a) { return a.scheme == scheme; });
  return found->name;
}

absl::StatusOr<Secret> SignJws(const Signer& signer, std::string_view algorithm,
                               std::string_view header, std::string_view payload) {
  const PublicKey& key = signer.public_key();
  const Algorithm* found = FindAlgorithm(algorithm);
  if (found == nullptr || !IsFor(*found, key)) {
    return InvalidArgument("algorithm {} is not one for the signer's key", Quoted(algorithm));
  }
  std::string token = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
  ASSIGN_OR_RETURN(std::string signature, Sign(signer, found->scheme, token));
  if (!key.is_rsa()) {
    ASSIGN_OR_RETURN(signature, RawEcdsaSignature(signature, (found->curve_bits + 7) / 8));
  }
  token += "." + Base64UrlEncode(signature);
  return Secret::TakeFrom(token);
}

absl::StatusOr<std::vector<Jwk>> ParseJwkSet(std::string_view text) {
  ASSIGN_OR_RETURN(const JsonObject set, JsonObject::Parse(text, kMaxSetBytes));
  ASSIGN_OR_RETURN(const std::vector<JsonObject> members, set.Objects("keys", kMaxKeys));
  std::vector<Jwk> keys;
  for (const JsonObject& member : members) {
    if (member.Has("use") && member.Text("use").value_or("") != "sig") {
      continue;
    }
    absl::StatusOr<std::optional<PublicKey>> key = KeyOf(member);
    RETURN_IF_ERROR(WithContext(key.status(), "key of the set"));
    if (key->has_value()) {
      keys.push_back({member.Text("kid").value_or(""), **std::move(key)});
    }
  }
  return keys;
}

}  // namespace assay::crypto
