// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of gRPC over HTTP/2 that are text and bytes alone: content types, timeouts, encoded
// status messages, and messages cut out of DATA. Nothing here does I/O.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay::rpc {

// "application/grpc", alone or with a subtype ("+proto") or parameters (";...").
bool IsGrpcContentType(std::string_view value);

// The value of grpc-timeout: up to eight digits and a unit, H M S m u n. The error's message is
// grpc-go's.
absl::StatusOr<absl::Duration> ParseTimeout(std::string_view value);

// A status message as grpc-message carries it: all but printable ASCII, and '%', as %XX; cut at
// kMaxMessageBytes before encoding.
inline constexpr size_t kMaxMessageBytes = 2048;
std::string EncodeStatusMessage(std::string_view message);

// Base64 without padding, for headers whose names end in -bin.
std::string EncodeBinaryHeader(std::string_view bytes);

// Cuts length-prefixed messages out of the chunks that DATA frames bring. What it kept of them it
// wipes: there may be tokens in them.
class MessageReader {
 public:
  MessageReader() = default;
  ~MessageReader() { WipeBuffer(); }
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  // Takes from the front of chunk. Returns a message when one is whole, valid until the next call;
  // nothing when the chunk is used up. An error, in grpc-go's words, ends the call: a message over
  // max_bytes, a compressed one, or an unknown flag.
  absl::StatusOr<std::optional<std::string_view>> Next(std::string_view& chunk, size_t max_bytes);
  // Whether a message has begun and is not whole.
  bool in_message() const { return prefix_size_ > 0; }
  // Bytes held of an unfinished message.
  size_t buffered() const { return buffer_.empty() ? 0 : buffer_.capacity(); }

 private:
  bool ReadPrefix(std::string_view& chunk);
  void WipeBuffer();

  uint8_t prefix_size_ = 0;
  bool delivered_ = false;
  char prefix_[5] = {};
  size_t size_ = 0;
  std::string buffer_;
};

}  // namespace assay::rpc
