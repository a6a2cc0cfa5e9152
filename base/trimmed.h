// SPDX-License-Identifier: GPL-3.0-or-later
// A text without the blanks around it.
#pragma once

#include <algorithm>
#include <string_view>

namespace assay {

// Blanks are spaces, tabs and ends of lines. Points into the text.
inline std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace assay
