// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "upstream/goaway_watch.h"

// However the bytes are cut, the same is seen.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  assay::GoawayWatch whole, apart;
  whole.Feed(bytes);
  for (size_t at = 0; at < size; ++at) {
    apart.Feed(bytes.substr(at, 1));
  }
  if (whole.seen() != apart.seen()) {
    std::abort();
  }
  return 0;
}
