// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_validator.h"

#include <utility>

#include "crypto/digest.h"

namespace assay {

absl::StatusOr<JwtValidator::Candidate> JwtValidator::Find(
    std::string_view token, const FindAuthorities& find_authorities) {
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
  // Where the key ends says its DER, so that no other pair gives these bytes.
  std::string pair = authority->public_key.spki();
  pair.reserve(pair.size() + token.size());
  pair.append(token);
  std::string digest = crypto::Digest(crypto::Hash::kSha256, pair);
  Wipe(pair.data(), pair.size());
  return Candidate{std::move(svid), &authority->public_key, std::move(digest)};
}

absl::Status JwtValidator::Check(const Candidate& candidate) {
  if (!candidate.svid.VerifySignature(*candidate.key).ok()) {
    return InvalidArgument("the signature of the token is not by the key that it names");
  }
  if (good_.insert(candidate.digest).second) {
    order_.push_back(candidate.digest);
  }
  if (order_.size() > kRemembered) {
    good_.erase(order_.front());
    order_.pop_front();
  }
  return absl::OkStatus();
}

}  // namespace assay
