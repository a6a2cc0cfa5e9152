// SPDX-License-Identifier: GPL-3.0-or-later
// Has the upstream mint one JWT-SVID, and believes it only if it is what was asked for. May block:
// for threads other than the identity thread.
#pragma once

#include <span>
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

// Whether it is good, and its authority is one of these and not tainted.
absl::Status CheckTrusted(const MintedAnswer& answer, std::span<const JwtAuthority> authorities);
// What callers are told, printable whatever the upstream says: of an upstream that failed, as the
// reference words it; of what was found wrong with what it minted.
std::string RpcText(const absl::Status& status);
std::string FindingText(const absl::Status& status);
// Whether the same call may succeed later. As the reference has it, and PermissionDenied besides:
// who is refused by the upstream's policy or for what the agent is will be refused again. What the
// upstream says of itself alone, as that it is busy or failed within, may pass, whatever our own
// code of that name would mean.
bool IsWorthARetry(const absl::Status& status);

}  // namespace assay
