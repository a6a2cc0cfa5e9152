// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_mint.h"

#include <algorithm>
#include <utility>

#include "base/grpc_text.h"
#include "base/printable.h"
#include "spiffe/jwt_svid.h"

namespace assay {
namespace {

// What the upstream minted is what was asked for. From when on it counts is left to who validates
// it: this node's clock may be late.
absl::Status CheckMinted(const JwtSvid& svid, const MintOrder& order, absl::Time now) {
  if (svid.id().ToString() != order.spiffe_id) {
    return InvalidArgument("it is of {}", svid.id().ToString());
  }
  const auto audience = NormalizedAudience(svid.audience());
  if (!audience.ok() || *audience != order.key.audience) {
    return InvalidArgument("it is for another audience");
  }
  if (svid.expires_at() <= now) {
    return InvalidArgument("it has expired");
  }
  return absl::OkStatus();
}

// Whoever mints this does so the next time too.
MintedAnswer Wrong(const absl::Status& why) {
  return {InvalidArgument("jwt-svid of the upstream: {}", Message(why)), /*is_untrusted=*/false,
          /*is_wrong=*/true};
}

absl::Status UntrustedAuthority(const std::string& key_id) {
  return Unavailable(
      "jwt-svid of the upstream: the trust bundle has no authority {} that is not tainted",
      Quoted(key_id));
}

}  // namespace

MintedAnswer MintJwtSvid(Upstream& upstream, const Clock& clock, const MintOrder& order) {
  auto minted = upstream.MintJwtSvid(order.key.entry_id, order.key.audience);
  if (!minted.ok()) {
    return {minted.status()};
  }
  const absl::Time now = clock.Now();
  const absl::StatusOr<JwtSvid> svid = JwtSvid::Parse(minted->token.Reveal());
  if (!svid.ok()) {
    return Wrong(svid.status());
  }
  if (absl::Status good = CheckMinted(*svid, order, now); !good.ok()) {
    return Wrong(good);
  }
  const JwtAuthority* authority = svid->FindAuthority(order.bundle.jwt_authorities);
  if (authority == nullptr || authority->tainted) {
    return {UntrustedAuthority(svid->key_id()), /*is_untrusted=*/true};
  }
  if (absl::Status good = svid->VerifySignature(authority->public_key); !good.ok()) {
    return Wrong(good);
  }
  ReadyJwtSvid ready{.spiffe_id = order.spiffe_id,
                     .token = std::move(minted->token),
                     .key_id = svid->key_id(),
                     .expires = svid->expires_at(),
                     .refresh = {}};
  // Before half of what is left, each at a time of its own.
  ready.refresh = now + (ready.expires - now) * (0.4 + 0.1 * order.random);
  ready.late = now + (ready.expires - now) * 0.5;
  return {.svid = std::move(ready), .verified_by = authority->public_key.spki()};
}

absl::Status CheckTrusted(const MintedAnswer& answer, std::span<const JwtAuthority> authorities) {
  RETURN_IF_ERROR(answer.svid.status());
  const bool is_trusted =
      std::any_of(authorities.begin(), authorities.end(), [&answer](const JwtAuthority& authority) {
        return authority.key_id == answer.svid->key_id && !authority.tainted &&
               authority.public_key.spki() == answer.verified_by;
      });
  return is_trusted ? absl::OkStatus() : UntrustedAuthority(answer.svid->key_id);
}

std::string RpcText(const absl::Status& status) {
  return GrpcText(static_cast<int>(status.code()), FindingText(status));
}

std::string FindingText(const absl::Status& status) { return Printable(Message(status)); }

bool IsWorthARetry(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
      return false;
    default:
      return true;
  }
}

}  // namespace assay
