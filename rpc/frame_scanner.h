// SPDX-License-Identifier: GPL-3.0-or-later
// Finds the frame headers (RFC 9113 4.1) in what a caller sends, so that each can be judged before
// nghttp2 acts on it: nghttp2 skips some frames without telling.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace assay::rpc {

struct FrameHeader {
  uint32_t length = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  int32_t stream_id = 0;
};

class FrameScanner {
 public:
  // How many of the bytes may be acted on before the next frame is judged: all but the last byte of
  // its header and what follows, with at_frame() then true; or all, when no header ends in them.
  // Call again with the rest.
  size_t Scan(std::string_view bytes);
  bool at_frame() const { return at_frame_; }
  // Of the frame found last.
  const FrameHeader& header() const { return header_; }

 private:
  static constexpr size_t kPrefaceBytes = 24;
  static constexpr size_t kHeaderBytes = 9;

  size_t skip_ = kPrefaceBytes;  // Bytes before the next header.
  size_t read_ = 0;              // Of the header.
  std::array<uint8_t, kHeaderBytes> bytes_ = {};
  bool at_frame_ = false;
  FrameHeader header_;
};

}  // namespace assay::rpc
