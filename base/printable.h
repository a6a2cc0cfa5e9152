// SPDX-License-Identifier: GPL-3.0-or-later
// Text of others as text that any parser and any terminal takes.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace assay {

// Bytes that are no printable ASCII as \xNN, and cut at 1024 bytes.
inline std::string Printable(std::string_view text) {
  constexpr size_t kMost = 1024;
  std::string printable;
  for (const char c : text.substr(0, kMost)) {
    if (c < ' ' || c > '~') {
      printable += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      printable += c;
    }
  }
  printable += text.size() > kMost ? "..." : "";
  return printable;
}

}  // namespace assay
