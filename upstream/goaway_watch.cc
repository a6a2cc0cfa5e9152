// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/goaway_watch.h"

#include <algorithm>

namespace assay {
namespace {

constexpr uint8_t kGoaway = 7;

}  // namespace

void GoawayWatch::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t skipped = std::min(payload_left_, bytes.size());
    payload_left_ -= skipped;
    bytes.remove_prefix(skipped);
    const size_t taken = std::min(header_.size() - header_size_, bytes.size());
    std::copy_n(bytes.begin(), taken, header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    header_size_ += taken;
    bytes.remove_prefix(taken);
    if (header_size_ == header_.size()) {
      header_size_ = 0;
      payload_left_ = size_t{header_[0]} << 16 | size_t{header_[1]} << 8 | header_[2];
      seen_ = seen_ || header_[3] == kGoaway;
    }
  }
}

}  // namespace assay
