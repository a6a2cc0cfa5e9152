// SPDX-License-Identifier: GPL-3.0-or-later
// What an operator decides about an authority.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "authority/node_verifier_options.h"
#include "base/log.h"
#include "crypto/key.h"
#include "spiffe/trust_domain.h"

namespace assay {

struct AuthorityOptions {
  TrustDomain trust_domain;  // Fixed in the data folder by the first start.
  std::string bind_address = "0.0.0.0";
  uint16_t bind_port = 8081;
  std::string socket_path = "/tmp/spire-server/private/api.sock";  // For operators; mode 0770.
  std::string data_dir = {};  // datastore.sqlite3 and keys/; mode 0700 when it is made.
  bool keys_on_disk = true;   // Otherwise a restart makes other signing authorities.

  absl::Duration ca_ttl = absl::Hours(24);
  absl::Duration default_x509_svid_ttl = absl::Hours(1);
  absl::Duration default_jwt_svid_ttl = absl::Minutes(5);
  std::optional<absl::Duration> agent_ttl = {};  // Unset: default_x509_svid_ttl.
  crypto::KeyType ca_key_type = crypto::KeyType::kEcP256;
  std::optional<crypto::KeyType> jwt_key_type = {};  // Unset: ca_key_type.
  std::string jwt_issuer = {};                       // The iss claim of JWT-SVIDs; empty: none.
  bool disable_jwt_svids = false;                    // No JWT-SVID is made, nor a key for them.

  log::Options log = {};
  bool ratelimit_attestation = true;  // One attestation a second from one address.
  bool ratelimit_signing = true;      // 500 signatures a second for one address.

  NodeVerifierOptions node_verifiers = {};

  // The effective values.
  absl::Duration AgentTtl() const { return agent_ttl.value_or(default_x509_svid_ttl); }
  crypto::KeyType JwtKeyType() const { return jwt_key_type.value_or(ca_key_type); }
};

}  // namespace assay
