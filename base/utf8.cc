// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace assay {
namespace {

// The bytes of the character that starts with lead, and the least code point of that many bytes.
struct Utf8Form {
  size_t size;
  uint32_t least;
  uint8_t lead_bits;
};
Utf8Form FormOf(uint8_t lead) {
  if (lead < 0x80) {
    return {1, 0, 0x7f};
  }
  if (lead >= 0xc0 && lead < 0xe0) {
    return {2, 0x80, 0x1f};
  }
  if (lead >= 0xe0 && lead < 0xf0) {
    return {3, 0x800, 0x0f};
  }
  if (lead >= 0xf0 && lead < 0xf8) {
    return {4, 0x10000, 0x07};
  }
  return {0, 0, 0};
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Form form = FormOf(static_cast<uint8_t>(text.front()));
    if (form.size == 0 || form.size > text.size()) {
      return false;
    }
    uint32_t point = static_cast<uint8_t>(text.front()) & form.lead_bits;
    for (size_t i = 1; i < form.size; ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      if ((byte & 0xc0) != 0x80) {
        return false;
      }
      point = point << 6 | (byte & 0x3f);
    }
    if (point < form.least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      return false;
    }
    text.remove_prefix(form.size);
  }
  return true;
}

}  // namespace assay
