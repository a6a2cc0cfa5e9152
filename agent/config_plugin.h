// SPDX-License-Identifier: GPL-3.0-or-later
// What the agent's plugins have in common in its configuration file: an `enabled`, options of their
// own in a plugin_data or in a plugin_data_file, and the program of an external one.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config.h"
#include "base/option_table.h"

namespace assay {

// Where the files that plugin_data_file names are read from, and what was read.
struct PluginFiles {
  PluginFileReader read;
  std::vector<PluginFile> used;
};

// A plugin that this program has.
struct Plugin {
  std::string_view name;
  OptionTable data;  // The options of its plugin_data.
  std::string_view doc;
  std::function<void()> choose;  // It is configured, and its options are read.
  bool reloads = false;          // New options are taken up while the agent runs.
  // What no single option of it can say wrong; may be null.
  std::function<void(ConfigPosition position, std::string_view path, ConfigReport& report)> check =
      {};
};

enum class Number { kOne, kAny };

// Reads the labelled blocks of one type of plugins, of which one can be used at a time, or any
// number. The files, and what the plugins' options are bound to, must outlive the reader.
OptionReader Plugins(std::string_view type, std::vector<Plugin> plugins, Number number,
                     PluginFiles& files);

}  // namespace assay
