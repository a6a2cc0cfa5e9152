// SPDX-License-Identifier: GPL-3.0-or-later
// A JWS in compact serialization (RFC 7515 §3.1), as JWTs are, and the keys of a JWK set (RFC 7517
// §5) to verify it with. Parsing proves nothing: what a JWS says counts once Verify is OK.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/key.h"

namespace assay::crypto {

class Jws final {
 public:
  static constexpr size_t kMaxBytes = 64 << 10;

  // InvalidArgument for anything but three parts of base64url without padding, the first a JSON
  // object with an "alg" of a signature, without "crit", and with strings for "kid" and "typ" where
  // it has them. The error repeats nothing of the token but these.
  static absl::StatusOr<Jws> Parse(std::string_view token);

  const std::string& algorithm() const { return algorithm_; }  // "ES256".
  const std::string& key_id() const { return key_id_; }        // Empty when the header has none.
  const std::optional<std::string>& type() const { return type_; }  // "JWT".
  const std::string& payload() const { return payload_; }

  // OK when it is signed by this key, with an algorithm for keys of this kind and size;
  // PermissionDenied otherwise.
  absl::Status Verify(const PublicKey& key) const;

 private:
  Jws() = default;

  std::string algorithm_, key_id_, payload_;
  std::optional<std::string> type_;
  Secret signed_text_, signature_;  // Together the token, which may open doors elsewhere.
};

// The algorithm that a key of its kind signs with by itself: "ES256", "ES384", "ES512", "RS256".
std::string_view JwsAlgorithmOf(const PublicKey& key);
// A JWS of the header and the payload, JSON texts both. The algorithm, which the header must name,
// is one for keys of the signer's kind.
absl::StatusOr<Secret> SignJws(const Signer& signer, std::string_view algorithm,
                               std::string_view header, std::string_view payload);

struct Jwk {
  std::string key_id;  // Empty: none.
  PublicKey key;
};

// The EC and RSA keys of a JWK set, those of other kinds or uses ("use" other than "sig") left out.
// InvalidArgument when the text is no set, or when a key of these kinds is malformed.
absl::StatusOr<std::vector<Jwk>> ParseJwkSet(std::string_view text);

}  // namespace assay::crypto
