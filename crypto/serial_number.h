// SPDX-License-Identifier: GPL-3.0-or-later
// The serial number of a certificate (RFC 5280 §4.1.2.2), in decimal as SPIRE's API carries it.
#pragma once

#include <string>
#include <string_view>

namespace assay::crypto {

// RFC 5280 says 20, and that readers should handle those of careless writers.
constexpr size_t kMaxSerialBytes = 32;

// Of big-endian bytes.
std::string DecimalSerial(std::string_view bytes);

// Of the first certificate of a chain in DER, without a look at the rest of it; empty when there is
// none.
std::string SerialOf(std::string_view chain);

}  // namespace assay::crypto
