// SPDX-License-Identifier: GPL-3.0-or-later
// AES in cipher feedback mode with 128-bit segments and an all-zero first block, as TPMs protect
// credentials and duplicated objects: each key must serve for one plaintext only, and the
// ciphertext needs a MAC.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace assay::crypto {

// As many bytes as the plaintext. A key of other than 16 or 32 bytes is InvalidArgument.
absl::StatusOr<std::string> AesCfbEncrypt(std::string_view key, std::string_view plaintext);

}  // namespace assay::crypto
