// SPDX-License-Identifier: GPL-3.0-or-later
// Validates JWT-SVIDs, and remembers which signatures were good: that a key has signed a token
// stays true, so that a token seen before costs no signature check. All else is looked at each
// time. Not thread-safe.
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

  // The JWT-SVID, if it is one for the audience and valid now; InvalidArgument says why not.
  absl::StatusOr<JwtSvid> Validate(std::string_view token, std::string_view audience,
                                   const FindAuthorities& find_authorities, absl::Time now);

 private:
  absl::Status CheckSignature(const JwtSvid& svid, std::string_view token,
                              const crypto::PublicKey& key);

  // Digests of a key and a token that it has signed, and the order in which they came.
  std::unordered_set<std::string> good_;
  std::deque<std::string> order_;
};

}  // namespace assay
