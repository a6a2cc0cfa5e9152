// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/jwt_issuer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/digest.h"

namespace assay {
namespace {

constexpr size_t kJtiBytes = 16;

// RFC 7518 §3.1's name of the scheme that the key signs with.
std::string_view AlgorithmName(const crypto::PublicKey& key) {
  if (key.is_rsa()) {
    return "RS256";
  }
  return key.DefaultScheme().hash == crypto::Hash::kSha384 ? "ES384" : "ES256";
}

// One INTEGER of a DER signature of ours, taken off its front, as size bytes.
absl::StatusOr<std::string> TakeInteger(std::string_view& der, size_t size) {
  if (der.size() < 2 || der[0] != 0x02 || static_cast<size_t>(der[1]) > der.size() - 2) {
    return Internal("the signer returned a malformed ECDSA signature");
  }
  std::string_view number = der.substr(2, static_cast<size_t>(der[1]));
  der.remove_prefix(2 + number.size());
  number.remove_prefix(std::min(number.find_first_not_of('\0'), number.size()));
  if (number.size() > size) {
    return Internal("the signer returned an ECDSA signature of another curve");
  }
  return std::string(size - number.size(), '\0') + std::string(number);
}

// RFC 7518 §3.4: r and s, one after the other, instead of DER. Both fit in short-form lengths, for
// the curves here have at most 48 bytes.
absl::StatusOr<std::string> ToJwsSignature(const crypto::PublicKey& key, std::string der) {
  if (key.is_rsa()) {
    return der;
  }
  std::string_view rest = der;
  if (rest.size() < 2 || rest[0] != 0x30 || static_cast<size_t>(rest[1]) != rest.size() - 2) {
    return Internal("the signer returned a malformed ECDSA signature");
  }
  rest.remove_prefix(2);
  const size_t size = key.bits() / 8;
  ASSIGN_OR_RETURN(const std::string r, TakeInteger(rest, size));
  ASSIGN_OR_RETURN(const std::string s, TakeInteger(rest, size));
  return r + s;
}

}  // namespace

absl::StatusOr<IssuedJwtSvid> IssueJwtSvid(const SigningAuthority& authority,
                                           const JwtSvidRequest& request, absl::Time now) {
  std::vector<std::string> audience = request.audience;
  std::erase(audience, "");
  if (audience.empty()) {
    return InvalidArgument("at least one audience is required");
  }
  if (authority.key == nullptr || now >= authority.expires_at) {
    return Unavailable("the JWT key has expired");
  }
  IssuedJwtSvid issued;
  issued.issued_at = absl::ToUnixSeconds(now);
  issued.expires_at = absl::ToUnixSeconds(std::min(now + request.ttl, authority.expires_at));
  nlohmann::json claims = {{"aud", audience},
                           {"exp", issued.expires_at},
                           {"iat", issued.issued_at},
                           {"sub", request.id.ToString()}};
  if (!request.issuer.empty()) {
    claims["iss"] = request.issuer;
  }
  if (request.include_jti) {
    claims["jti"] = crypto::Base64UrlEncode(crypto::RandomBytes(kJtiBytes));
  }
  const crypto::PublicKey& key = authority.public_key;
  const nlohmann::json header = {
      {"alg", AlgorithmName(key)}, {"kid", authority.id}, {"typ", "JWT"}};
  // Audiences are the caller's bytes: what is not UTF-8 is replaced, never thrown upon.
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  std::string token =
      crypto::Base64UrlEncode(header.dump()) + "." +
      crypto::Base64UrlEncode(claims.dump(-1, ' ', /*ensure_ascii=*/false, kReplace));
  ASSIGN_OR_RETURN(std::string signature, crypto::Sign(*authority.key, key.DefaultScheme(), token));
  ASSIGN_OR_RETURN(signature, ToJwsSignature(key, std::move(signature)));
  token += "." + crypto::Base64UrlEncode(signature);
  issued.token = Secret::TakeFrom(token);
  return issued;
}

}  // namespace assay
