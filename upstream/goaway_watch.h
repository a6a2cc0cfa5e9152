// SPDX-License-Identifier: GPL-3.0-or-later
// Whether an HTTP/2 server has told its client to go away (RFC 9113, section 6.8), seen in the
// bytes that it sends: the library that reads them tells the caller of a call no more than that it
// failed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace assay {

class GoawayWatch final {
 public:
  // The next bytes of the connection, cut anywhere.
  void Feed(std::string_view bytes);
  bool seen() const { return seen_; }

 private:
  std::array<uint8_t, 9> header_{};
  size_t header_size_ = 0;   // What has come of the next frame's header.
  size_t payload_left_ = 0;  // Of the frame before.
  bool seen_ = false;
};

}  // namespace assay
