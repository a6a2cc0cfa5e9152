// SPDX-License-Identifier: GPL-3.0-or-later
// What a plugin prints: its first line, and the lines of its log.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plugins/handshake.h"
#include "plugins/line_reader.h"
#include "plugins/log_line.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(assay::ParseHandshake(text));
  assay::PluginLogReader reader;
  assay::LineReader lines(64, [&reader](std::string_view line, bool cut) {
    static_cast<void>(reader.Read(line, cut));
  });
  lines.Take(text);
  static_cast<void>(reader.Read(text, false));
  return 0;
}
