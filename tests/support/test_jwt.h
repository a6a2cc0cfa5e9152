// SPDX-License-Identifier: GPL-3.0-or-later
// JWT-SVIDs for tests: a key of a trust domain, and tokens that it signs, well formed or not.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "crypto/digest.h"
#include "crypto/jws.h"
#include "crypto/key.h"
#include "spiffe/trust_bundle.h"

namespace assay {

class TestJwtKey final {
 public:
  explicit TestJwtKey(std::string key_id = "k", crypto::KeyType type = crypto::KeyType::kEcP256)
      : key_id_(std::move(key_id)), key_(crypto::PrivateKey::Generate(type).value()) {}

  const crypto::PrivateKey& key() const { return *key_; }
  std::string_view algorithm() const { return crypto::JwsAlgorithmOf(key_->public_key()); }
  JwtAuthority authority() const { return {.key_id = key_id_, .public_key = key_->public_key()}; }

  nlohmann::json header() const { return {{"alg", algorithm()}, {"kid", key_id_}, {"typ", "JWT"}}; }
  static nlohmann::json Claims(const std::string& id, const nlohmann::json& audience,
                               absl::Time now, absl::Duration ttl = absl::Minutes(5)) {
    return {{"sub", id},
            {"aud", audience},
            {"iat", absl::ToUnixSeconds(now)},
            {"exp", absl::ToUnixSeconds(now + ttl)}};
  }
  // Signed with the key's own algorithm, whatever the header says.
  std::string Token(const nlohmann::json& claims, const nlohmann::json& header) const {
    return Sign(claims.dump(), header.dump(), algorithm());
  }
  std::string Token(const nlohmann::json& claims) const { return Token(claims, header()); }
  std::string Sign(std::string_view claims, std::string_view header,
                   std::string_view algorithm) const {
    return std::string(crypto::SignJws(*key_, algorithm, header, claims).value().Reveal());
  }

 private:
  const std::string key_id_;
  const std::unique_ptr<crypto::PrivateKey> key_;
};

}  // namespace assay
