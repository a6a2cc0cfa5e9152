// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/jwt_svid.h"

#include <algorithm>
#include <utility>

#include "crypto/json_object.h"

namespace assay {
namespace {

using crypto::JsonObject;

constexpr size_t kMaxAudiences = 1000;
constexpr size_t kMaxListed = 8;  // In an error.

// A NumericDate (RFC 7519 §2); the default when the claim is absent.
absl::StatusOr<absl::Time> TimeOf(const JsonObject& claims, std::string_view name,
                                  absl::Time otherwise) {
  if (!claims.Has(name)) {
    return otherwise;
  }
  ASSIGN_OR_RETURN(const int64_t seconds, claims.Integer(name));
  return absl::FromUnixSeconds(seconds);
}

absl::StatusOr<std::vector<std::string>> AudienceOf(const JsonObject& claims) {
  if (!claims.Has("aud")) {
    return InvalidArgument("token missing aud claim");
  }
  ASSIGN_OR_RETURN(std::vector<std::string> audience, claims.Texts("aud", kMaxAudiences));
  if (audience.empty()) {
    return InvalidArgument("token has an aud claim without values");
  }
  return audience;
}

absl::StatusOr<SpiffeId> SubjectOf(const JsonObject& claims) {
  const std::string subject = claims.Text("sub").value_or("");
  if (subject.empty()) {
    return InvalidArgument("token missing subject claim");
  }
  auto id = SpiffeId::Parse(subject);
  return id.ok() ? std::move(id) : WithContext(id.status(), "token has an invalid subject claim");
}

std::string Listed(const std::vector<std::string>& audience) {
  std::vector<std::string> quoted;
  for (const std::string& value :
       std::span(audience).first(std::min(audience.size(), kMaxListed))) {
    quoted.push_back(Quoted(value));
  }
  if (audience.size() > kMaxListed) {
    quoted.emplace_back("...");
  }
  return fmt::format("{}", fmt::join(quoted, " "));
}

}  // namespace

absl::StatusOr<JwtSvid> JwtSvid::Parse(std::string_view token) {
  absl::StatusOr<crypto::Jws> jws = crypto::Jws::Parse(token);
  RETURN_IF_ERROR(WithContext(jws.status(), "unable to parse JWT token"));
  if (jws->type().has_value() && *jws->type() != "JWT" && *jws->type() != "JOSE") {
    return InvalidArgument("token has type {}, wanted JWT or JOSE", Quoted(*jws->type()));
  }
  if (jws->key_id().empty()) {
    return InvalidArgument("token header missing key id");
  }
  const absl::StatusOr<JsonObject> claims =
      JsonObject::Parse(jws->payload(), crypto::Jws::kMaxBytes);
  RETURN_IF_ERROR(WithContext(claims.status(), "claims of the token"));
  ASSIGN_OR_RETURN(SpiffeId id, SubjectOf(*claims));
  if (!claims->Has("exp")) {
    return InvalidArgument("token missing exp claim");
  }
  JwtSvid svid(*std::move(jws), std::move(id));
  ASSIGN_OR_RETURN(svid.audience_, AudienceOf(*claims));
  ASSIGN_OR_RETURN(svid.expires_at_, TimeOf(*claims, "exp", absl::InfinitePast()));
  ASSIGN_OR_RETURN(const absl::Time not_before, TimeOf(*claims, "nbf", absl::InfinitePast()));
  ASSIGN_OR_RETURN(const absl::Time issued_at, TimeOf(*claims, "iat", absl::InfinitePast()));
  svid.not_before_ = std::max(not_before, issued_at);
  return svid;
}

const JwtAuthority* JwtSvid::FindAuthority(std::span<const JwtAuthority> authorities) const {
  const auto found =
      std::find_if(authorities.begin(), authorities.end(),
                   [this](const JwtAuthority& a) { return a.key_id == jws_.key_id(); });
  return found == authorities.end() ? nullptr : &*found;
}

absl::Status JwtSvid::CheckClaims(std::string_view audience, absl::Time now) const {
  if (std::find(audience_.begin(), audience_.end(), audience) == audience_.end()) {
    return InvalidArgument("expected audience in [{}] (audience=[{}])", Quoted(audience),
                           Listed(audience_));
  }
  if (now > expires_at_ + kLeeway) {
    return InvalidArgument("token has expired");
  }
  if (now < not_before_ - kLeeway) {
    return InvalidArgument("token is not valid yet");
  }
  return absl::OkStatus();
}

absl::Status VerifyJwtSvid(const JwtSvid& svid, const JwtSvidTrust& trust) {
  const TrustDomain& trust_domain = svid.id().trust_domain();
  const std::span<const JwtAuthority> authorities = trust.find_authorities(trust_domain);
  if (authorities.empty()) {
    return InvalidArgument("no keys found for trust domain {}", Quoted(trust_domain.name()));
  }
  const JwtAuthority* authority = svid.FindAuthority(authorities);
  if (authority == nullptr) {
    return InvalidArgument("public key {} not found in trust domain {}", Quoted(svid.key_id()),
                           Quoted(trust_domain.name()));
  }
  if (trust.check_signature != nullptr) {
    RETURN_IF_ERROR(trust.check_signature(svid, authority->public_key));
  } else if (!svid.VerifySignature(authority->public_key).ok()) {
    return InvalidArgument("{}", JwtSvid::kBadSignature);
  }
  return svid.CheckClaims(trust.audience, trust.now);
}

}  // namespace assay
