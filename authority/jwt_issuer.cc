// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/jwt_issuer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/digest.h"
#include "crypto/jws.h"

namespace assay {
namespace {

constexpr size_t kJtiBytes = 16;

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
  const std::string_view algorithm = crypto::JwsAlgorithmOf(authority.public_key);
  const nlohmann::json header = {{"alg", algorithm}, {"kid", authority.id}, {"typ", "JWT"}};
  // Audiences are the caller's bytes: what is not UTF-8 is replaced, never thrown upon.
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  ASSIGN_OR_RETURN(issued.token,
                   crypto::SignJws(*authority.key, algorithm, header.dump(),
                                   claims.dump(-1, ' ', /*ensure_ascii=*/false, kReplace)));
  return issued;
}

}  // namespace assay
