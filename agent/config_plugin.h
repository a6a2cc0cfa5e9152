// SPDX-License-Identifier: GPL-3.0-or-later
// What the agent's plugins have in common in its configuration file: an `enabled`, options of their
// own in a plugin_data or in a plugin_data_file, and the program of an external one.
#pragma once

#include <functional>
#include <optional>
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
  // What no single option of it can say wrong; may be null.
  std::function<void(ConfigPosition position, std::string_view path, ConfigReport& report)> check =
      {};
};

enum class Number { kOne, kAny };

// What becomes of external plugins of a type.
struct ExternalPlugins {
  PluginType type;
  std::function<void(ExternalPlugin plugin)> choose;  // It is configured, and its options are read.
  std::string_view built_in = "";                     // A name that no external plugin can have.
};

// Reads the labelled blocks of one type of plugins, of which one can be used at a time, or any
// number; external ones where it is said what becomes of them. The files, and what the plugins'
// options are bound to, must outlive the reader.
OptionReader Plugins(std::string_view type, std::vector<Plugin> plugins, Number number,
                     PluginFiles& files, std::optional<ExternalPlugins> external = std::nullopt);

// The options of an external plugin's block; the plugin must outlive the table. Its plugin_data are
// taken as they are.
OptionTable ExternalPluginOptions(ExternalPlugin& plugin, PluginFiles& files);

}  // namespace assay
