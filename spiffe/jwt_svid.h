// SPDX-License-Identifier: GPL-3.0-or-later
// A JWT-SVID: a signed token whose subject is a SPIFFE ID (JWT-SVID §2 to §4). Parsing proves
// nothing: what a token says counts once its signature and its claims are checked.
#pragma once

#include <absl/time/time.h>

#include <functional>
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
  static constexpr char kBadSignature[] =
      "the signature of the token is not by the key that it names";

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

  // The authority that signed it by its own account, null when it is none of these. The caller sees
  // to it that they are those of id()'s trust domain (JWT-SVID §6.2).
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

// What a token is verified by.
struct JwtSvidTrust {
  // The JWT authorities of a trust domain; none where it is not trusted.
  std::function<std::span<const JwtAuthority>(const TrustDomain& trust_domain)> find_authorities;
  std::string_view audience;
  absl::Time now;
  // OK when this key has signed it, where the caller has another way than VerifySignature.
  std::function<absl::Status(const JwtSvid& svid, const crypto::PublicKey& key)> check_signature;
};

// All of that: OK when it verifies by the authority of its own trust domain that it names, for the
// audience. InvalidArgument says what is wrong, unless check_signature does.
absl::Status VerifyJwtSvid(const JwtSvid& svid, const JwtSvidTrust& trust);

}  // namespace assay
