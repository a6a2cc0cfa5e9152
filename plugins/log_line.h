// SPDX-License-Identifier: GPL-3.0-or-later
// What a plugin writes to its error output, as lines of this agent's log: JSON objects with a level
// and a message as go-plugin's logger writes them, or plain text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"

namespace assay {

struct PluginLogLine {
  log::Level level = log::Level::kDebug;
  std::string message;
  // Their names are of letters, digits and "_.-" alone.
  std::vector<std::pair<std::string, std::string>> fields;
};

constexpr size_t kMaxLogLineBytes = 64 << 10;

// Not thread-safe.
class PluginLogReader final {
 public:
  // One line. Parts of a line that was cut are plain text.
  PluginLogLine Read(std::string_view line, bool cut);

 private:
  PluginLogLine ReadText(std::string_view line);

  bool in_panic_ = false;  // The lines after a panic's first are of it too.
};

}  // namespace assay
