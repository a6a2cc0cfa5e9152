// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_validator.h"

#include <utility>

#include "crypto/digest.h"

namespace assay {

absl::StatusOr<JwtSvid> JwtValidator::Validate(std::string_view token, std::string_view audience,
                                               const FindAuthorities& find_authorities,
                                               absl::Time now) {
  ASSIGN_OR_RETURN(JwtSvid svid, JwtSvid::Parse(token));
  const TrustDomain& trust_domain = svid.id().trust_domain();
  const std::span<const JwtAuthority> authorities = find_authorities(trust_domain);
  if (authorities.empty()) {
    return InvalidArgument("no keys found for trust domain {}", Quoted(trust_domain.name()));
  }
  const JwtAuthority* authority = svid.FindAuthority(authorities);
  if (authority == nullptr) {
    return InvalidArgument("public key {} not found in trust domain {}", Quoted(svid.key_id()),
                           Quoted(trust_domain.name()));
  }
  if (!CheckSignature(svid, token, authority->public_key).ok()) {
    return InvalidArgument("the signature of the token is not by the key that it names");
  }
  RETURN_IF_ERROR(svid.CheckClaims(audience, now));
  return svid;
}

absl::Status JwtValidator::CheckSignature(const JwtSvid& svid, std::string_view token,
                                          const crypto::PublicKey& key) {
  // Where the key ends says its DER, so that no other pair gives these bytes.
  std::string pair = key.spki();
  pair.append(token);
  std::string digest = crypto::Digest(crypto::Hash::kSha256, pair);
  Wipe(pair.data(), pair.size());
  if (good_.contains(digest)) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(svid.VerifySignature(key));
  if (order_.size() >= kRemembered) {
    good_.erase(order_.front());
    order_.pop_front();
  }
  order_.push_back(digest);
  good_.insert(std::move(digest));
  return absl::OkStatus();
}

}  // namespace assay
