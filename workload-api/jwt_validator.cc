// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_validator.h"

#include "crypto/digest.h"

namespace assay {

std::string JwtValidator::DigestOf(std::string_view token) {
  return crypto::Digest(crypto::Hash::kSha256, token);
}

bool JwtValidator::Knows(const std::string& digest, const crypto::PublicKey& key) const {
  const auto known = good_.find(digest);
  return known != good_.end() && known->second == key.spki();
}

absl::Status JwtValidator::Check(const JwtSvid& svid, const crypto::PublicKey& key,
                                 const std::string& digest) {
  if (!svid.VerifySignature(key).ok()) {
    return InvalidArgument("{}", JwtSvid::kBadSignature);
  }
  if (good_.insert_or_assign(digest, key.spki()).second) {
    order_.push_back(digest);
  }
  if (order_.size() > kRemembered) {
    good_.erase(order_.front());
    order_.pop_front();
  }
  return absl::OkStatus();
}

}  // namespace assay
