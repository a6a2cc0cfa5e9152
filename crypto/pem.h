// SPDX-License-Identifier: GPL-3.0-or-later
// PEM (RFC 7468): labelled base64 blocks between text that is ignored.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assay::crypto {

struct PemBlock {
  std::string label;  // Such as "CERTIFICATE".
  std::string der;
};

// Lines of 64 characters, a trailing newline. Of a private key it leaves no other copy.
std::string PemEncode(std::string_view label, std::string_view der);
// All blocks in order; a block that is cut off or not base64 is InvalidArgument with its number.
absl::StatusOr<std::vector<PemBlock>> ParsePem(std::string_view text);

}  // namespace assay::crypto
