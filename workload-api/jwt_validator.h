// SPDX-License-Identifier: GPL-3.0-or-later
// Which signatures of JWT-SVIDs were good: that a key has signed a token stays true, so that a
// token seen before costs no signature check. All else is to be looked at each time. Where there
// are too many, the user who had most checked is the first to have them checked again. Not
// thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/fair_places.h"
#include "base/status.h"
#include "spiffe/jwt_svid.h"

namespace assay {

class JwtValidator final {
 public:
  static constexpr size_t kRemembered = 1024;

  // By what a token is remembered.
  static std::string DigestOf(std::string_view token);
  // Whether the token of this digest had a good signature, by whatever key.
  bool Remembers(const std::string& digest) const { return good_.contains(digest); }
  // Whether the signature by this key was checked before, and is good.
  bool Knows(const std::string& digest, const crypto::PublicKey& key) const;
  // Of whose signature it is.
  struct Token {
    const JwtSvid& svid;
    const std::string& digest;
  };
  // Checks the signature for this user. InvalidArgument when it is bad.
  absl::Status Check(const Token& token, const crypto::PublicKey& key, uid_t user);

 private:
  struct Good {
    std::string spki;  // Of the key that has signed it.
    std::string user;
    uint64_t number;  // In the order in which they came.
  };
  using Tokens = std::unordered_map<std::string, Good>;

  void Forget(Tokens::iterator at);

  Tokens good_;                                        // By digest.
  std::unordered_map<uint64_t, std::string> digests_;  // By number.
  FairPlaces places_;                                  // Of users.
  uint64_t last_number_ = 0;
};

}  // namespace assay
