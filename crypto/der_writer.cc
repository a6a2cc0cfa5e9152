// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/der_writer.h"

#include <absl/time/civil_time.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace assay::crypto {
namespace {

// Appends an arc in base 128, high bits set on all bytes but the last.
void AppendArc(uint64_t arc, std::string& out) {
  std::string reversed(1, static_cast<char>(arc & 0x7f));
  for (arc >>= 7; arc > 0; arc >>= 7) {
    reversed += static_cast<char>(0x80 | (arc & 0x7f));
  }
  out.append(reversed.rbegin(), reversed.rend());
}

std::vector<uint64_t> ArcsOf(std::string_view dotted) {
  std::vector<uint64_t> arcs(1, 0);
  for (const char c : dotted) {
    if (c == '.') {
      arcs.push_back(0);
    } else {
      arcs.back() = arcs.back() * 10 + static_cast<uint64_t>(c - '0');
    }
  }
  arcs.resize(std::max<size_t>(arcs.size(), 2));
  return arcs;
}

}  // namespace

std::string DerHeader(uint8_t tag, size_t size) {
  std::string header(1, static_cast<char>(tag));
  if (size < 0x80) {
    header += static_cast<char>(size);
    return header;
  }
  std::string reversed;
  for (size_t left = size; left > 0; left >>= 8) {
    reversed += static_cast<char>(left & 0xff);
  }
  header += static_cast<char>(0x80 | reversed.size());
  header.append(reversed.rbegin(), reversed.rend());
  return header;
}

std::string DerWrap(uint8_t tag, std::string_view content) {
  std::string element = DerHeader(tag, content.size());
  element.append(content);
  return element;
}

std::string DerSequence(std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (const std::string_view part : parts) {
    size += part.size();
  }
  std::string element = DerHeader(kDerSequence, size);
  element.reserve(element.size() + size);
  for (const std::string_view part : parts) {
    element.append(part);
  }
  return element;
}

std::string DerUnsigned(std::string_view bytes) {
  bytes.remove_prefix(std::min(bytes.find_first_not_of('\0'), bytes.size()));
  std::string content;
  if (bytes.empty() || static_cast<uint8_t>(bytes.front()) >= 0x80) {
    content += '\0';
  }
  content.append(bytes);
  return DerWrap(kDerInteger, content);
}

std::string DerSmall(unsigned value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(value >> shift & 0xff);
  }
  return DerUnsigned(bytes);
}

std::string DerTrue() { return DerWrap(kDerBoolean, "\xff"); }

std::string DerNullValue() { return DerWrap(kDerNull, ""); }

std::string DerObjectId(std::string_view dotted) {
  const std::vector<uint64_t> arcs = ArcsOf(dotted);
  std::string content;
  AppendArc(arcs[0] * 40 + arcs[1], content);
  for (size_t i = 2; i < arcs.size(); ++i) {
    AppendArc(arcs[i], content);
  }
  return DerWrap(kDerOid, content);
}

std::string DerBits(std::string_view bytes) {
  std::string element = DerHeader(kDerBitString, bytes.size() + 1);
  element += '\0';
  element.append(bytes);
  return element;
}

std::string DerNamedBits(unsigned bits) {
  std::string content(1, '\0');
  int unused = 0;
  for (int i = 0; i < 32 && bits >> i != 0; ++i) {
    if (i % 8 == 0) {
      content += '\0';
    }
    if ((bits >> i & 1) != 0) {
      content.back() = static_cast<char>(content.back() | (0x80 >> i % 8));
    }
    unused = 7 - i % 8;
  }
  content.front() = static_cast<char>(unused);
  return DerWrap(kDerBitString, content);
}

std::string DerOctets(std::string_view bytes) { return DerWrap(kDerOctetString, bytes); }

std::string DerTime(absl::Time time) {
  const absl::CivilSecond civil = absl::ToCivilSecond(time, absl::UTCTimeZone());
  const auto rest = fmt::format("{:02}{:02}{:02}{:02}{:02}Z", civil.month(), civil.day(),
                                civil.hour(), civil.minute(), civil.second());
  if (civil.year() >= 1950 && civil.year() < 2050) {
    return DerWrap(kDerUtcTime, fmt::format("{:02}{}", civil.year() % 100, rest));
  }
  return DerWrap(kDerGeneralizedTime, fmt::format("{:04}{}", civil.year(), rest));
}

}  // namespace assay::crypto
