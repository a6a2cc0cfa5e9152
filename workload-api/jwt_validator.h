// SPDX-License-Identifier: GPL-3.0-or-later
// Which signatures of JWT-SVIDs were good: that a key has signed a token stays true, so that a
// token seen before costs no signature check. All else is to be looked at each time. Not
// thread-safe.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/status.h"
#include "spiffe/jwt_svid.h"

namespace assay {

class JwtValidator final {
 public:
  static constexpr size_t kRemembered = 1024;

  // By what a token is remembered.
  static std::string DigestOf(std::string_view token);
  // Whether the token of this digest had a good signature, by whatever key.
  bool Remembers(const std::string& digest) const { return good_.contains(digest); }
  // Whether the signature by this key was checked before, and is good.
  bool Knows(const std::string& digest, const crypto::PublicKey& key) const;
  // Checks the signature of the token that the digest names. InvalidArgument when it is bad.
  absl::Status Check(const JwtSvid& svid, const crypto::PublicKey& key, const std::string& digest);

 private:
  // Digests of tokens, each with the SPKI of the key that has signed it, and the order in which
  // they came.
  std::unordered_map<std::string, std::string> good_;
  std::deque<std::string> order_;
};

}  // namespace assay
