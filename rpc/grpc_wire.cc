// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/grpc_wire.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/secret.h"
#include "crypto/digest.h"

namespace assay::rpc {
namespace {

constexpr std::string_view kContentType = "application/grpc";
constexpr std::string_view kHex = "0123456789ABCDEF";
constexpr size_t kMaxTimeoutBytes = 9;

std::optional<absl::Duration> UnitOf(char letter) {
  switch (letter) {
    case 'H':
      return absl::Hours(1);
    case 'M':
      return absl::Minutes(1);
    case 'S':
      return absl::Seconds(1);
    case 'm':
      return absl::Milliseconds(1);
    case 'u':
      return absl::Microseconds(1);
    case 'n':
      return absl::Nanoseconds(1);
    default:
      return std::nullopt;
  }
}

}  // namespace

bool IsGrpcContentType(std::string_view value) {
  if (!value.starts_with(kContentType)) {
    return false;
  }
  value.remove_prefix(kContentType.size());
  return value.empty() || value[0] == '+' || value[0] == ';';
}

absl::StatusOr<absl::Duration> ParseTimeout(std::string_view value) {
  if (value.size() < 2) {
    return Internal("transport: timeout string is too short: {}", Quoted(value));
  }
  if (value.size() > kMaxTimeoutBytes) {
    return Internal("transport: timeout string is too long: {}", Quoted(value));
  }
  const std::optional<absl::Duration> unit = UnitOf(value.back());
  if (!unit) {
    return Internal("transport: timeout unit is not recognized: {}", Quoted(value));
  }
  const std::string_view digits = value.substr(0, value.size() - 1);
  uint32_t count = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
    return Internal("strconv.ParseUint: parsing {}: invalid syntax", Quoted(digits));
  }
  return *unit * count;
}

std::string EncodeStatusMessage(std::string_view message) {
  std::string encoded;
  for (const char c : message.substr(0, kMaxMessageBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 15];
    }
  }
  return encoded;
}

std::string EncodeBinaryHeader(std::string_view bytes) {
  std::string encoded = crypto::Base64Encode(bytes);
  encoded.erase(encoded.find_last_not_of('=') + 1);
  return encoded;
}

bool MessageReader::ReadPrefix(std::string_view& chunk) {
  const size_t taken = std::min(sizeof(prefix_) - prefix_size_, chunk.size());
  std::memcpy(prefix_ + prefix_size_, chunk.data(), taken);
  prefix_size_ = static_cast<uint8_t>(prefix_size_ + taken);
  chunk.remove_prefix(taken);
  if (prefix_size_ < sizeof(prefix_)) {
    return false;
  }
  size_ = 0;
  for (size_t i = 1; i < sizeof(prefix_); ++i) {
    size_ = size_ << 8 | static_cast<unsigned char>(prefix_[i]);
  }
  return true;
}

void MessageReader::WipeBuffer() {
  Wipe(buffer_.data(), buffer_.size());
  std::string().swap(buffer_);
}

absl::StatusOr<std::optional<std::string_view>> MessageReader::Next(std::string_view& chunk,
                                                                    size_t max_bytes) {
  if (delivered_) {
    delivered_ = false;
    WipeBuffer();
  }
  if (prefix_size_ < sizeof(prefix_)) {
    if (chunk.empty() || !ReadPrefix(chunk)) {
      return std::nullopt;
    }
    if (size_ > max_bytes) {
      return ResourceExhausted("grpc: received message larger than max ({} vs. {})", size_,
                               max_bytes);
    }
    if (prefix_[0] == 1) {
      return Internal("grpc: compressed flag set with identity or empty encoding");
    }
    if (prefix_[0] != 0) {
      return Internal("grpc: received unexpected payload format {}",
                      static_cast<unsigned char>(prefix_[0]));
    }
  }
  const size_t taken = std::min(size_ - buffer_.size(), chunk.size());
  const std::string_view part = chunk.substr(0, taken);
  chunk.remove_prefix(taken);
  if (buffer_.empty() && taken == size_) {
    prefix_size_ = 0;
    return part;
  }
  if (const size_t needed = buffer_.size() + part.size(); needed > buffer_.capacity()) {
    // Grows as a string does, but never to more than the message, and leaves nothing behind.
    std::string larger;
    larger.reserve(std::min(size_, std::max(needed, 2 * buffer_.capacity())));
    larger = buffer_;
    buffer_.swap(larger);
    Wipe(larger.data(), larger.size());
  }
  buffer_ += part;
  if (buffer_.size() < size_) {
    return std::nullopt;
  }
  prefix_size_ = 0;
  delivered_ = true;
  return buffer_;
}

}  // namespace assay::rpc
