// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/server_identity.h"

#include "authority/x509_issuer.h"
#include "base/log.h"

namespace assay {

absl::StatusOr<crypto::TlsIdentity> ServerIdentity::Get() {
  const SigningAuthorityPtr authority = state_.ca.Active(SigningAuthority::Kind::kX509);
  if (authority == nullptr) {
    return Unavailable("there is no X.509 CA");
  }
  if (authority->id != authority_id_ || state_.clock.Now() >= renew_at_) {
    if (const absl::Status renewed = Renew(*authority); !renewed.ok()) {
      log::Error("cannot sign the server's SVID", {{"error", renewed}});
      return renewed;
    }
  }
  return identity_;
}

absl::Status ServerIdentity::Renew(const SigningAuthority& authority) {
  const absl::Time now = state_.clock.Now();
  ASSIGN_OR_RETURN(const SpiffeId id,
                   SpiffeId::Create(state_.options.trust_domain, "/spire/server"));
  ASSIGN_OR_RETURN(std::shared_ptr<const crypto::PrivateKey> key,
                   crypto::PrivateKey::Generate(state_.options.ca_key_type));
  ASSIGN_OR_RETURN(
      crypto::Certificate leaf,
      IssueX509Svid(
          authority,
          {.id = id, .key = key->public_key(), .ttl = state_.options.default_x509_svid_ttl}, now));
  renew_at_ = now + (leaf.not_after() - now) / 2;
  authority_id_ = authority.id;
  identity_ = {.chain = {std::move(leaf)}, .signer = std::move(key)};
  return absl::OkStatus();
}

}  // namespace assay
