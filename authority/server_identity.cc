// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/server_identity.h"

#include "authority/x509_issuer.h"
#include "base/log.h"

namespace assay {
namespace {

// As often as another CA, or a wall clock that was stepped, is noticed.
constexpr absl::Duration kLookEvery = absl::Seconds(5);

}  // namespace

ServerIdentity::~ServerIdentity() { *alive_ = false; }

absl::Status ServerIdentity::Start() {
  ASSIGN_OR_RETURN(svid_, Make(*state_.ca.Active(SigningAuthority::Kind::kX509), state_.options,
                               state_.clock.Now()));
  Look();
  return absl::OkStatus();
}

absl::StatusOr<crypto::TlsIdentity> ServerIdentity::Get() const {
  if (state_.clock.Now() >= svid_.not_after) {
    return Unavailable("the server's SVID has ended and no other could be made");
  }
  return svid_.identity;
}

absl::StatusOr<ServerIdentity::Svid> ServerIdentity::Make(const SigningAuthority& authority,
                                                          const AuthorityOptions& options,
                                                          absl::Time now) {
  ASSIGN_OR_RETURN(const SpiffeId id, SpiffeId::Create(options.trust_domain, "/spire/server"));
  ASSIGN_OR_RETURN(std::shared_ptr<const crypto::PrivateKey> key,
                   crypto::PrivateKey::Generate(options.ca_key_type));
  ASSIGN_OR_RETURN(
      crypto::Certificate leaf,
      IssueX509Svid(authority,
                    {.id = id, .key = key->public_key(), .ttl = options.default_x509_svid_ttl},
                    now));
  const absl::Time end = leaf.not_after();
  return Svid{.authority_id = authority.id,
              .renew_at = now + (end - now) / 2,
              .not_after = end,
              .identity = {.chain = {std::move(leaf)}, .signer = std::move(key)}};
}

void ServerIdentity::Look() {
  const auto look_again = [this, alive = alive_] {
    state_.loop.After(kLookEvery, [this, alive] {
      if (*alive) {
        Look();
      }
    });
  };
  const SigningAuthorityPtr authority = state_.ca.Active(SigningAuthority::Kind::kX509);
  const absl::Time now = state_.clock.Now();
  if (authority == nullptr || (authority->id == svid_.authority_id && now < svid_.renew_at)) {
    look_again();
    return;
  }
  state_.signing.Run(
      state_.loop,
      [authority, options = state_.options, now] { return Make(*authority, options, now); },
      [this, alive = alive_, look_again](absl::StatusOr<Svid> made) {
        if (!*alive) {
          return;
        }
        if (made.ok()) {
          svid_ = *std::move(made);
        } else {
          log::Error("cannot sign the server's SVID", {{"error", made.status()}});
        }
        look_again();
      });
}

}  // namespace assay
