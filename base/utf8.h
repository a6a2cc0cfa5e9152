// SPDX-License-Identifier: GPL-3.0-or-later
// Whether bytes of others are text that a protobuf string or a certificate may hold.
#pragma once

#include <string_view>

namespace assay {

// Well-formed by RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

}  // namespace assay
