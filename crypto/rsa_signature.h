// SPDX-License-Identifier: GPL-3.0-or-later
// What an RSA signature must be before it is looked at, and those of other makers that
// PublicKey::Verify, strict as it is, does not take.
#pragma once

#include <string_view>

#include "base/status.h"
#include "crypto/key.h"

namespace assay::crypto {

// Whether it is a number that a key of this modulus makes, which has no zeros before it: of its
// size and below it (RFC 8017 §5.2.2). Else anybody who sees a signature could add the modulus to
// it, and have another one as valid.
inline bool IsRsaSignature(std::string_view signature, std::string_view modulus) {
  return signature.size() == modulus.size() && signature < modulus;
}

// OK when it is an RSASSA-PSS signature of message by this key, with SHA-2 and a salt of any
// length, where PublicKey::Verify wants one of the hash's size; PermissionDenied otherwise.
absl::Status VerifyPssOfAnySalt(const PublicKey& key, Hash hash, std::string_view message,
                                std::string_view signature);

// OK when it is an RSA PKCS#1 v1.5 signature with SHA-1: only for a message that holds a fresh
// nonce, for which nobody can have prepared a collision. PermissionDenied otherwise.
absl::Status VerifyPkcs1Sha1(const PublicKey& key, std::string_view message,
                             std::string_view signature);

}  // namespace assay::crypto
