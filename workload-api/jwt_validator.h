// SPDX-License-Identifier: GPL-3.0-or-later
// Which signatures of JWT-SVIDs were good: that a key has signed a token stays true, so that a
// token seen before costs no signature check. All else is to be looked at each time. Not
// thread-safe.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/status.h"
#include "spiffe/jwt_svid.h"

namespace assay {

class JwtValidator final {
 public:
  static constexpr size_t kRemembered = 1024;

  // Names a token and the key that may have signed it.
  static std::string DigestOf(std::string_view token, const crypto::PublicKey& key);
  // Whether the signature was checked before, and is good.
  bool Knows(const std::string& digest) const { return good_.contains(digest); }
  // Checks the signature of the token that the digest names. InvalidArgument when it is bad.
  absl::Status Check(const JwtSvid& svid, const crypto::PublicKey& key, const std::string& digest);

 private:
  // Digests of a key and a token that it has signed, and the order in which they came.
  std::unordered_set<std::string> good_;
  std::deque<std::string> order_;
};

}  // namespace assay
