// SPDX-License-Identifier: GPL-3.0-or-later
// Hashes, HMAC, random bytes, and the text forms of bytes (hex, base64 of RFC 4648). Byte strings
// are std::string; secrets are Secret. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace assay::crypto {

enum class Hash { kSha1, kSha256, kSha384, kSha512 };

// Bytes of a digest: 20, 32, 48, 64.
size_t DigestSize(Hash hash);
std::string Digest(Hash hash, std::string_view data);
std::string Hmac(Hash hash, std::string_view key, std::string_view data);

// From the kernel's generator; ends the process when the kernel has none to give.
std::string RandomBytes(size_t size);
Secret RandomSecret(size_t size);

std::string HexEncode(std::string_view bytes);  // Lower case.
absl::StatusOr<std::string> HexDecode(std::string_view text);
std::string Base64Encode(std::string_view bytes);  // Standard alphabet, padded.
absl::StatusOr<std::string> Base64Decode(std::string_view text);
std::string Base64UrlEncode(std::string_view bytes);  // URL alphabet, no padding.
absl::StatusOr<std::string> Base64UrlDecode(std::string_view text);

}  // namespace assay::crypto
