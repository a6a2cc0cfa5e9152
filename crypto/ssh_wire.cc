// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/ssh_wire.h"

#include <algorithm>

#include "base/trimmed.h"
#include "crypto/digest.h"

namespace assay::crypto {
namespace {

constexpr std::string_view kBlanks = " \t";

}  // namespace

absl::StatusOr<std::string_view> SshReader::Take(size_t size, std::string_view what) {
  if (rest_.size() < size) {
    return InvalidArgument("{} is cut off: {} bytes are left, wanted {}", what, rest_.size(), size);
  }
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

absl::StatusOr<uint32_t> SshReader::ReadUint32(std::string_view what) {
  ASSIGN_OR_RETURN(const std::string_view bytes, Take(4, what));
  uint32_t number = 0;
  for (const char c : bytes) {
    number = number << 8 | static_cast<unsigned char>(c);
  }
  return number;
}

absl::StatusOr<uint64_t> SshReader::ReadUint64(std::string_view what) {
  ASSIGN_OR_RETURN(const uint32_t high, ReadUint32(what));
  ASSIGN_OR_RETURN(const uint32_t low, ReadUint32(what));
  return static_cast<uint64_t>(high) << 32 | low;
}

absl::StatusOr<std::string_view> SshReader::ReadString(std::string_view what) {
  ASSIGN_OR_RETURN(const uint32_t size, ReadUint32(what));
  return Take(size, what);
}

absl::StatusOr<std::string_view> SshReader::ReadUnsigned(std::string_view what) {
  ASSIGN_OR_RETURN(std::string_view bytes, ReadString(what));
  if (bytes.empty()) {
    return bytes;
  }
  const auto is_high = [](char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; };
  const bool has_zero = bytes.front() == '\0';
  if (is_high(bytes.front()) || (has_zero && (bytes.size() == 1 || !is_high(bytes[1])))) {
    return InvalidArgument("{} is negative or not in its shortest form", what);
  }
  bytes.remove_prefix(has_zero ? 1 : 0);
  return bytes;
}

absl::Status SshReader::End(std::string_view what) const {
  return rest_.empty() ? absl::OkStatus()
                       : InvalidArgument("{} bytes after the {}", rest_.size(), what);
}

absl::StatusOr<SshLine> ParseSshLine(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const std::string_view type = line.substr(0, line.find_first_of(kBlanks));
    const std::string_view rest = Trimmed(line.substr(type.size()));
    ASSIGN_OR_RETURN(std::string blob, Base64Decode(rest.substr(0, rest.find_first_of(kBlanks))));
    if (blob.empty()) {
      break;
    }
    return SshLine{std::string(type), std::move(blob)};
  }
  return InvalidArgument("no line of an SSH key");
}

std::string SshString(std::string_view bytes) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    text += static_cast<char>(bytes.size() >> shift);
  }
  text += bytes;
  return text;
}

std::string SshUnsigned(std::string_view bytes) {
  bytes.remove_prefix(std::min(bytes.find_first_not_of('\0'), bytes.size()));
  const bool is_high = !bytes.empty() && (static_cast<unsigned char>(bytes.front()) & 0x80) != 0;
  return SshString((is_high ? std::string(1, '\0') : std::string()) + std::string(bytes));
}

}  // namespace assay::crypto
