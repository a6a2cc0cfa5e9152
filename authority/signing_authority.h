// SPDX-License-Identifier: GPL-3.0-or-later
// What the authority signs with: an X.509 CA, or a key for JWT-SVIDs. Each is prepared (published,
// not yet used), then active, then old (its key destroyed, its public half still published until
// what it signed has ended).
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>

#include "authority/options.h"
#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace assay {

struct SigningAuthority {
  // The numbers are those on disk.
  enum class Kind { kX509 = 1, kJwt = 2 };
  enum class Stage { kPrepared = 1, kActive = 2, kOld = 3 };

  Kind kind;
  Stage stage;
  std::string id;                                       // X.509: the SKI in hex; JWT: the key ID.
  std::optional<crypto::Certificate> certificate = {};  // X.509 only.
  crypto::PublicKey public_key;
  absl::Time issued_at, expires_at;
  std::shared_ptr<const crypto::PrivateKey> key = {};  // Null when old.
};
using SigningAuthorityPtr = std::shared_ptr<const SigningAuthority>;

// A new key and, for X.509, its self-signed certificate (X509-SVID §4, for signing certificates:
// the trust domain's SPIFFE ID, CA, certificate and CRL signing). It is prepared.
absl::StatusOr<SigningAuthority> MakeSigningAuthority(SigningAuthority::Kind kind,
                                                      const AuthorityOptions& options,
                                                      absl::Time now);

}  // namespace assay
