// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/serial_number.h"

#include <algorithm>

#include "crypto/der_reader.h"

namespace assay::crypto {

std::string DecimalSerial(std::string_view bytes) {
  std::string digits;  // Least first.
  for (const char c : bytes) {
    unsigned carry = static_cast<unsigned char>(c);
    for (char& digit : digits) {
      carry += static_cast<unsigned>(digit - '0') * 256;
      digit = static_cast<char>('0' + carry % 10);
      carry /= 10;
    }
    for (; carry > 0; carry /= 10) {
      digits += static_cast<char>('0' + carry % 10);
    }
  }
  std::reverse(digits.begin(), digits.end());
  return digits.empty() ? "0" : digits;
}

std::string SerialOf(std::string_view chain) {
  const auto read = [&]() -> absl::StatusOr<std::string> {
    DerReader reader(chain);
    ASSIGN_OR_RETURN(DerReader certificate, reader.Enter(kDerSequence, "certificate"));
    ASSIGN_OR_RETURN(DerReader tbs, certificate.Enter(kDerSequence, "certificate's content"));
    if (tbs.NextIs(DerContextConstructed(0))) {
      RETURN_IF_ERROR(tbs.ReadAny().status());
    }
    ASSIGN_OR_RETURN(const std::string_view serial, tbs.ReadUnsigned("serial number"));
    return serial.size() > kMaxSerialBytes ? "" : DecimalSerial(serial);
  };
  return read().value_or("");
}

}  // namespace assay::crypto
