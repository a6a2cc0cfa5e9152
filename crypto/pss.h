// SPDX-License-Identifier: GPL-3.0-or-later
// The encoding that an RSASSA-PSS signature hides (RFC 8017 §9.1.2), the mask made with the same
// hash. The salt may have any length: other signers than ours choose the longest.
#pragma once

#include <string_view>

#include "crypto/digest.h"

namespace assay::crypto {

// Whether encoded, as many bytes as a modulus of these bits, encodes the digest.
bool IsPssEncoding(Hash hash, std::string_view digest, std::string_view encoded,
                   size_t modulus_bits);

}  // namespace assay::crypto
