// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as a configuration: they parse or are refused, nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hcl.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)assay::ParseConfig("fuzz", {reinterpret_cast<const char*>(data), size});
  return 0;
}
