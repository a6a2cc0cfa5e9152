// SPDX-License-Identifier: GPL-3.0-or-later
// Whose signature a JWT-SVID has, and which signatures were good: that a key has signed a token
// stays true, so that a token seen before costs no signature check. All else is to be looked at
// each time. Not thread-safe.
#pragma once

#include <absl/time/time.h>

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/status.h"
#include "spiffe/jwt_svid.h"

namespace assay {

class JwtValidator final {
 public:
  static constexpr size_t kRemembered = 1024;

  // The JWT authorities of a trust domain; nothing where it is not trusted.
  using FindAuthorities =
      std::function<std::span<const JwtAuthority>(const TrustDomain& trust_domain)>;

  // A token that names a key of its trust domain. Nothing it says counts yet.
  struct Candidate {
    JwtSvid svid;
    const crypto::PublicKey* key;  // Valid as long as the authority it is of.
    std::string digest;            // Of the key and the token.
  };

  // InvalidArgument says why it can be no JWT-SVID of an authority that is known.
  static absl::StatusOr<Candidate> Find(std::string_view token,
                                        const FindAuthorities& find_authorities);
  // Whether its signature was checked before, and is good.
  bool Knows(const Candidate& candidate) const { return good_.contains(candidate.digest); }
  // Checks the signature.
  absl::Status Check(const Candidate& candidate);

 private:
  // Digests of a key and a token that it has signed, and the order in which they came.
  std::unordered_set<std::string> good_;
  std::deque<std::string> order_;
};

}  // namespace assay
