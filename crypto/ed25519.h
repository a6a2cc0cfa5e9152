// SPDX-License-Identifier: GPL-3.0-or-later
// Ed25519 signatures (RFC 8032 §5.1), which SSH keys make; certificates and SVIDs have none.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace assay::crypto {

constexpr size_t kEd25519KeyBytes = 32;  // Of either half; the private one is the seed.

absl::StatusOr<std::string> Ed25519PublicKey(const Secret& seed);
absl::StatusOr<std::string> SignEd25519(const Secret& seed, std::string_view message);
// PermissionDenied when the signature is not of this message by this key.
absl::Status VerifyEd25519(std::string_view public_key, std::string_view message,
                           std::string_view signature);

}  // namespace assay::crypto
