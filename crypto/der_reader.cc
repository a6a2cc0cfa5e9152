// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/der_reader.h"

#include <absl/time/civil_time.h>

#include <algorithm>

namespace assay::crypto {
namespace {

constexpr size_t kMaxLength = 1u << 24;
constexpr size_t kMaxOidBytes = 64;

uint8_t At(std::string_view bytes, size_t i) { return static_cast<uint8_t>(bytes[i]); }

// The number that digits write; the caller has seen that they are digits.
int Number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) {
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

absl::StatusOr<DerElement> DerReader::ReadAny() {
  if (rest_.size() < 2) {
    return InvalidArgument("DER is cut off");
  }
  const uint8_t tag = At(rest_, 0);
  if ((tag & 0x1f) == 0x1f) {
    return InvalidArgument("DER has a tag of more than one byte");
  }
  size_t length = At(rest_, 1);
  size_t header = 2;
  if (length >= 0x80) {
    const size_t size = length & 0x7f;
    if (size == 0 || size > 4 || rest_.size() < 2 + size) {
      return InvalidArgument("DER length is indefinite, too long or cut off");
    }
    length = 0;
    for (size_t i = 0; i < size; ++i) {
      length = length << 8 | At(rest_, 2 + i);
    }
    header += size;
    if (length < 0x80 || length >> (8 * (size - 1)) == 0) {
      return InvalidArgument("DER length is not in its shortest form");
    }
  }
  if (length > kMaxLength || length > rest_.size() - header) {
    return InvalidArgument("DER element is longer than what holds it");
  }
  const DerElement element = {tag, rest_.substr(header, length), rest_.substr(0, header + length)};
  rest_.remove_prefix(header + length);
  return element;
}

absl::StatusOr<DerElement> DerReader::Read(uint8_t tag, std::string_view what) {
  if (!NextIs(tag)) {
    return InvalidArgument("{}: wanted DER tag {:#04x}, got {}", what, tag,
                           AtEnd() ? "nothing" : fmt::format("{:#04x}", At(rest_, 0)));
  }
  absl::StatusOr<DerElement> element = ReadAny();
  if (!element.ok()) {
    return WithContext(element.status(), what);
  }
  return element;
}

absl::StatusOr<DerReader> DerReader::Enter(uint8_t tag, std::string_view what) {
  ASSIGN_OR_RETURN(const DerElement element, Read(tag, what));
  return DerReader(element.content);
}

absl::Status DerReader::End(std::string_view what) const {
  if (!AtEnd()) {
    return InvalidArgument("{}: {} trailing bytes", what, rest_.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string_view> DerReader::ReadInteger(std::string_view what) {
  ASSIGN_OR_RETURN(const DerElement element, Read(kDerInteger, what));
  const std::string_view content = element.content;
  if (content.empty()) {
    return InvalidArgument("{}: an integer without bytes", what);
  }
  if (content.size() > 1 && ((At(content, 0) == 0x00 && At(content, 1) < 0x80) ||
                             (At(content, 0) == 0xff && At(content, 1) >= 0x80))) {
    return InvalidArgument("{}: an integer that is not in its shortest form", what);
  }
  return content;
}

absl::StatusOr<std::string_view> DerReader::ReadUnsigned(std::string_view what) {
  ASSIGN_OR_RETURN(std::string_view content, ReadInteger(what));
  if (At(content, 0) >= 0x80) {
    return InvalidArgument("{}: a negative integer", what);
  }
  if (At(content, 0) == 0) {
    content.remove_prefix(1);
  }
  return content;
}

absl::StatusOr<int> DerReader::ReadSmall(std::string_view what) {
  ASSIGN_OR_RETURN(const std::string_view bytes, ReadUnsigned(what));
  if (bytes.size() > 4 || (bytes.size() == 4 && At(bytes, 0) >= 0x80)) {
    return InvalidArgument("{}: an integer above 2^31-1", what);
  }
  int value = 0;
  for (const char c : bytes) {
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return value;
}

absl::StatusOr<bool> DerReader::ReadBoolean(std::string_view what) {
  ASSIGN_OR_RETURN(const DerElement element, Read(kDerBoolean, what));
  if (element.content == std::string_view("\x00", 1)) {
    return false;
  }
  if (element.content == "\xff") {
    return true;
  }
  return InvalidArgument("{}: a boolean that is neither 00 nor ff", what);
}

absl::StatusOr<std::string> DerReader::ReadOid(std::string_view what) {
  ASSIGN_OR_RETURN(const DerElement element, Read(kDerOid, what));
  const std::string_view content = element.content;
  if (content.empty() || content.size() > kMaxOidBytes || At(content, content.size() - 1) >= 0x80) {
    return InvalidArgument("{}: an object identifier that is empty, too long or cut off", what);
  }
  std::string text;
  uint64_t arc = 0;
  for (const char c : content) {
    const auto byte = static_cast<uint8_t>(c);
    if ((arc == 0 && byte == 0x80) || arc >> 56 != 0) {
      return InvalidArgument("{}: an object identifier with a malformed arc", what);
    }
    arc = arc << 7 | (byte & 0x7f);
    if (byte >= 0x80) {
      continue;
    }
    if (text.empty()) {
      const uint64_t first = std::min<uint64_t>(arc / 40, 2);
      text = fmt::format("{}.{}", first, arc - 40 * first);
    } else {
      text += fmt::format(".{}", arc);
    }
    arc = 0;
  }
  return text;
}

absl::StatusOr<std::string_view> DerReader::ReadBitString(std::string_view what) {
  ASSIGN_OR_RETURN(const DerElement element, Read(kDerBitString, what));
  if (element.content.empty() || At(element.content, 0) != 0) {
    return InvalidArgument("{}: a bit string that is not of whole bytes", what);
  }
  return element.content.substr(1);
}

absl::StatusOr<unsigned> DerReader::ReadNamedBits(std::string_view what) {
  ASSIGN_OR_RETURN(const DerElement element, Read(kDerBitString, what));
  const std::string_view content = element.content;
  const unsigned unused = content.empty() ? 8 : At(content, 0);
  if (unused > 7 || (content.size() == 1 && unused != 0)) {
    return InvalidArgument("{}: a malformed bit string", what);
  }
  if (content.size() > 1 && (At(content, content.size() - 1) & ((1u << unused) - 1)) != 0) {
    return InvalidArgument("{}: a bit string whose unused bits are not zero", what);
  }
  unsigned bits = 0;
  for (size_t i = 0; i < 32 && i / 8 + 1 < content.size(); ++i) {
    if ((At(content, i / 8 + 1) & (0x80 >> i % 8)) != 0) {
      bits |= 1u << i;
    }
  }
  return bits;
}

absl::StatusOr<absl::Time> DerReader::ReadTime(std::string_view what) {
  const bool utc = NextIs(kDerUtcTime);
  ASSIGN_OR_RETURN(const DerElement element, Read(utc ? kDerUtcTime : kDerGeneralizedTime, what));
  std::string_view text = element.content;
  const size_t year_size = utc ? 2 : 4;
  if (text.size() != year_size + 11 || text.back() != 'Z' ||
      text.find_first_not_of("0123456789") != text.size() - 1) {
    return InvalidArgument("{}: a time that is not digits to the second and Z", what);
  }
  int year = Number(text.substr(0, year_size));
  if (utc) {
    year += year >= 50 ? 1900 : 2000;
  }
  text.remove_prefix(year_size);
  const int month = Number(text.substr(0, 2)), day = Number(text.substr(2, 2));
  const int hour = Number(text.substr(4, 2)), minute = Number(text.substr(6, 2));
  const int second = Number(text.substr(8, 2));
  // A civil time carries over what does not exist: 30 February becomes 2 March.
  const absl::CivilSecond civil(year, month, day, hour, minute, second);
  if (civil.month() != month || civil.day() != day || civil.hour() != hour ||
      civil.minute() != minute || civil.second() != second) {
    return InvalidArgument("{}: a time that does not exist", what);
  }
  return absl::FromCivil(civil, absl::UTCTimeZone());
}

}  // namespace assay::crypto
