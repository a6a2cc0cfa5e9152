// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_validator.h"

#include "crypto/digest.h"

namespace assay {

std::string JwtValidator::DigestOf(std::string_view token) {
  return crypto::Digest(crypto::Hash::kSha256, token);
}

bool JwtValidator::Knows(const std::string& digest, const crypto::PublicKey& key) const {
  const auto known = good_.find(digest);
  return known != good_.end() && known->second.spki == key.spki();
}

absl::Status JwtValidator::Check(const Token& token, const crypto::PublicKey& key, uid_t user) {
  if (!token.svid.VerifySignature(key).ok()) {
    return InvalidArgument("{}", JwtSvid::kBadSignature);
  }
  if (const auto before = good_.find(token.digest); before != good_.end()) {
    Forget(before);
  }
  const Good good{key.spki(), std::to_string(user), ++last_number_};
  places_.Add(good.user, good.number);
  digests_[good.number] = token.digest;
  good_.emplace(token.digest, good);
  if (good_.size() > kRemembered) {
    Forget(good_.find(digests_.at(*places_.OldestOfLargest())));
  }
  return absl::OkStatus();
}

void JwtValidator::Forget(Tokens::iterator at) {
  places_.Remove(at->second.user, at->second.number);
  digests_.erase(at->second.number);
  good_.erase(at);
}

}  // namespace assay
