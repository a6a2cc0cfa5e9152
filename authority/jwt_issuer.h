// SPDX-License-Identifier: GPL-3.0-or-later
// Signs JWT-SVIDs (JWT-SVID §2, §3; RFC 7515 compact serialization). Thread-safe.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "authority/signing_authority.h"
#include "base/status.h"
#include "spiffe/spiffe_id.h"

namespace assay {

struct JwtSvidRequest {
  SpiffeId id;
  std::vector<std::string> audience;  // Empty strings are left out.
  absl::Duration ttl;                 // Cut where the authority ends.
  std::string issuer;                 // The iss claim; empty: none.
  bool include_jti = false;
};

struct IssuedJwtSvid {
  Secret token;
  int64_t issued_at = 0;   // Unix seconds.
  int64_t expires_at = 0;  // Unix seconds.
};

// InvalidArgument when no audience is left.
absl::StatusOr<IssuedJwtSvid> IssueJwtSvid(const SigningAuthority& authority,
                                           const JwtSvidRequest& request, absl::Time now);

}  // namespace assay
