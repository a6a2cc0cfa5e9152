// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/uuid.h"

#include "crypto/digest.h"

namespace assay {

std::string RandomUuid() {
  std::string bytes = crypto::RandomBytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);  // Version 4.
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);  // RFC variant.
  std::string text = crypto::HexEncode(bytes);
  for (const size_t at : {8, 13, 18, 23}) {
    text.insert(at, 1, '-');
  }
  return text;
}

}  // namespace assay
