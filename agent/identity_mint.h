// SPDX-License-Identifier: GPL-3.0-or-later
// Has the upstream mint one JWT-SVID, and believes it only if it is what was asked for. May block:
// for threads other than the identity thread.
#pragma once

#include <string>

#include "agent/identity_jwt_svids.h"
#include "base/clock.h"
#include "base/status.h"
#include "spiffe/jwt_svid_key.h"
#include "spiffe/trust_bundle.h"
#include "upstream/upstream.h"

namespace assay {

struct MintOrder {
  JwtSvidKey key;
  std::string spiffe_id;
  TrustBundle bundle;  // The own one, as far as JWT authorities go.
  double random;       // Below 1: when it is to be replaced, within its time for that.
};

struct MintedAnswer {
  absl::StatusOr<ReadyJwtSvid> svid;
  bool is_untrusted = false;     // It failed for want of an authority that is trusted.
  bool is_wrong = false;         // It is not what was asked for, and will not be the next time.
  std::string verified_by = {};  // The authority's public key, SubjectPublicKeyInfo.
};

MintedAnswer MintJwtSvid(Upstream& upstream, const Clock& clock, const MintOrder& order);

// Why a JWT-SVID by this authority is not good.
absl::Status UntrustedAuthority(const std::string& key_id);

}  // namespace assay
