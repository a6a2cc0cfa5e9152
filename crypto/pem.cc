// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/pem.h"

#include <algorithm>

#include "crypto/digest.h"

namespace assay::crypto {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr std::string_view kBlanks = " \t\r\v\f";
constexpr size_t kLineSize = 64;

// The next line without its end and without blanks at its end, taken off text.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  line.remove_suffix(line.size() - (line.find_last_not_of(kBlanks) + 1));
  return line;
}

// The label of a boundary line that starts like this; empty when line is no such boundary.
std::string_view LabelOf(std::string_view line, std::string_view start) {
  if (!line.starts_with(start) || !line.ends_with(kDashes) ||
      line.size() <= start.size() + kDashes.size()) {
    return {};
  }
  return line.substr(start.size(), line.size() - start.size() - kDashes.size());
}

// Base64 of what may be a private key, wiped however the reading ends.
struct WipedText {
  ~WipedText() { Wipe(text.data(), text.size()); }
  std::string text;
};

// Reads the lines after "-----BEGIN label-----", through the one that ends the block.
absl::StatusOr<std::string> TakeBody(std::string_view& text, std::string_view label,
                                     size_t number) {
  WipedText base64;
  // All at once: text that grows leaves copies.
  base64.text.reserve(std::min(text.find(kDashes), text.size()));
  while (!text.empty()) {
    const std::string_view line = TakeLine(text);
    if (line.starts_with(kDashes)) {
      if (LabelOf(line, kEnd) != label) {
        return InvalidArgument("PEM block {} does not end in the label it began with", number);
      }
      absl::StatusOr<std::string> der = Base64Decode(base64.text);
      if (!der.ok()) {
        return WithContext(der.status(), fmt::format("PEM block {}", number));
      }
      return der;
    }
    if (line.find(':') != line.npos) {
      return InvalidArgument("PEM block {} has headers: encrypted blocks are not supported",
                             number);
    }
    const size_t start = std::min(line.find_first_not_of(kBlanks), line.size());
    base64.text.append(line.substr(start));
  }
  return InvalidArgument("PEM block {} is cut off: no END line", number);
}

}  // namespace

std::string PemEncode(std::string_view label, std::string_view der) {
  const WipedText base64{Base64Encode(der)};
  const std::string begin = fmt::format("{}{}{}\n", kBegin, label, kDashes);
  const std::string end = fmt::format("{}{}{}\n", kEnd, label, kDashes);
  std::string text;
  // All at once: what grows leaves copies, and it may be a private key.
  text.reserve(begin.size() + base64.text.size() + base64.text.size() / kLineSize + 1 + end.size());
  text += begin;
  for (size_t i = 0; i < base64.text.size(); i += kLineSize) {
    text.append(base64.text, i, kLineSize);
    text += '\n';
  }
  text += end;
  return text;
}

absl::StatusOr<std::vector<PemBlock>> ParsePem(std::string_view text) {
  std::vector<PemBlock> blocks;
  while (!text.empty()) {
    const std::string_view label = LabelOf(TakeLine(text), kBegin);
    if (label.empty()) {
      continue;
    }
    ASSIGN_OR_RETURN(std::string der, TakeBody(text, label, blocks.size() + 1));
    blocks.push_back({std::string(label), std::move(der)});
  }
  return blocks;
}

}  // namespace assay::crypto
