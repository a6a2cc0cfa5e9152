// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/frame_scanner.h"

#include <algorithm>

namespace assay::rpc {

size_t FrameScanner::Scan(std::string_view bytes) {
  at_frame_ = false;
  const size_t skipped = std::min(skip_, bytes.size());
  skip_ -= skipped;
  const size_t taken = std::min(kHeaderBytes - read_, bytes.size() - skipped);
  bytes.substr(skipped, taken).copy(reinterpret_cast<char*>(bytes_.data()) + read_, taken);
  read_ += taken;
  if (read_ < kHeaderBytes) {
    return bytes.size();
  }
  header_.length = static_cast<uint32_t>(bytes_[0]) << 16 | bytes_[1] << 8 | bytes_[2];
  header_.type = bytes_[3];
  header_.flags = bytes_[4];
  header_.stream_id = static_cast<int32_t>(static_cast<uint32_t>(bytes_[5] & 0x7f) << 24 |
                                           bytes_[6] << 16 | bytes_[7] << 8 | bytes_[8]);
  at_frame_ = true;
  read_ = 0;
  skip_ = 1 + header_.length;  // The header's own last byte is still to come again.
  return skipped + taken - 1;
}

}  // namespace assay::rpc
