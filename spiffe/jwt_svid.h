// SPDX-License-Identifier: GPL-3.0-or-later
// A JWT-SVID: a signed token whose subject is a SPIFFE ID (JWT-SVID §2 to §4). Parsing proves
// nothing: what a token says counts once its signature and its claims are checked.
#pragma once

#include <absl/time/time.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/jws.h"
#include "spiffe/spiffe_id.h"
#include "spiffe/trust_bundle.h"

namespace assay {

class JwtSvid final {
 public:
  // By how much the clocks of issuer and validator may differ.
  static constexpr absl::Duration kLeeway = absl::Minutes(1);

  // InvalidArgument for anything but a JWS in compact serialization that has an algorithm of
  // JWT-SVID §2.1, a key id (which the standard leaves open, and without which nobody knows the
  // key), no type or "JWT" or "JOSE", a SPIFFE ID for "sub", audiences, and an expiry.
  static absl::StatusOr<JwtSvid> Parse(std::string_view token);

  const SpiffeId& id() const { return id_; }
  const std::vector<std::string>& audience() const { return audience_; }
  const std::string& key_id() const { return jws_.key_id(); }
  absl::Time expires_at() const { return expires_at_; }
  // All of them as a JSON object, which does parse.
  const std::string& claims() const { return jws_.payload(); }

  // The authority that signed it by its own account, null when it is none of these, which must be
  // those of its own trust domain (JWT-SVID §6.2).
  const JwtAuthority* FindAuthority(std::span<const JwtAuthority> authorities) const;
  // OK when this key has signed it, with an algorithm for such keys.
  absl::Status VerifySignature(const crypto::PublicKey& key) const { return jws_.Verify(key); }
  // OK when it is for this audience, and valid now: not expired, and neither issued nor to be used
  // later, all but for the leeway.
  absl::Status CheckClaims(std::string_view audience, absl::Time now) const;

 private:
  JwtSvid(crypto::Jws jws, SpiffeId id) : jws_(std::move(jws)), id_(std::move(id)) {}

  crypto::Jws jws_;
  SpiffeId id_;
  std::vector<std::string> audience_;
  absl::Time expires_at_;
  absl::Time not_before_ = absl::InfinitePast();  // The later of "nbf" and "iat".
};

// All of that: the token verifies by this bundle, of its own trust domain, for the audience.
absl::Status VerifyJwtSvid(const JwtSvid& svid, const TrustBundle& bundle,
                           std::string_view audience, absl::Time now);

}  // namespace assay
