// SPDX-License-Identifier: GPL-3.0-or-later
// RSA encryption with OAEP padding (RFC 8017 §7.1), the mask made with the same hash.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "crypto/digest.h"
#include "crypto/key.h"

namespace assay::crypto {

// As many bytes as the key's modulus. InvalidArgument when the key is no RSA key, or the plaintext
// too long for it.
absl::StatusOr<std::string> RsaOaepEncrypt(const PublicKey& key, Hash hash, std::string_view label,
                                           std::string_view plaintext);

}  // namespace assay::crypto
