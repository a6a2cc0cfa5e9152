// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_validator.h"

#include "crypto/digest.h"

namespace assay {

std::string JwtValidator::DigestOf(std::string_view token, const crypto::PublicKey& key) {
  // Where the key ends says its DER, so that no other pair gives these bytes.
  std::string pair = key.spki();
  pair.reserve(pair.size() + token.size());
  pair.append(token);
  std::string digest = crypto::Digest(crypto::Hash::kSha256, pair);
  Wipe(pair.data(), pair.size());
  return digest;
}

absl::Status JwtValidator::Check(const JwtSvid& svid, const crypto::PublicKey& key,
                                 const std::string& digest) {
  if (!svid.VerifySignature(key).ok()) {
    return InvalidArgument("{}", JwtSvid::kBadSignature);
  }
  if (good_.insert(digest).second) {
    order_.push_back(digest);
  }
  if (order_.size() > kRemembered) {
    good_.erase(order_.front());
    order_.pop_front();
  }
  return absl::OkStatus();
}

}  // namespace assay
