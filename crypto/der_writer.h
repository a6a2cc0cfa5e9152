// SPDX-License-Identifier: GPL-3.0-or-later
// Writes DER (X.690), one whole element from its parts at a time. What comes in is ours or was
// checked: object identifiers must be well formed.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "crypto/der_reader.h"

namespace assay::crypto {

// Tag and length of an element whose content has this size.
std::string DerHeader(uint8_t tag, size_t size);
// An element with this content, or with these parts as its content.
std::string DerWrap(uint8_t tag, std::string_view content);
std::string DerSequence(std::initializer_list<std::string_view> parts);

// From big-endian bytes of a number that is not negative; leading zeros do not matter.
std::string DerUnsigned(std::string_view bytes);
std::string DerSmall(unsigned value);
std::string DerTrue();
std::string DerNullValue();
// From the dotted form.
std::string DerObjectId(std::string_view dotted);
std::string DerBits(std::string_view bytes);
// Bit 0 of the standard is 1<<0; trailing zero bits are cut, as DER wants of named bits.
std::string DerNamedBits(unsigned bits);
std::string DerOctets(std::string_view bytes);
// UTCTime through 2049, GeneralizedTime from 2050 and before 1950; seconds are floored. The year
// must have four digits.
std::string DerTime(absl::Time time);

}  // namespace assay::crypto
