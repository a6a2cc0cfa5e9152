// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_plugin.h"

namespace assay {

bool ReadPlugin(const ConfigValue& block, OptionTable data_options, std::string_view path,
                ConfigReport& report) {
  bool enabled = true;
  // Read for its effect alone before the rest: options of a plugin that is off do not count.
  ConfigReport ignored("");
  if (const ConfigValue* value = block.Find("enabled"); value != nullptr) {
    Into(enabled)(*value, path, ignored);
  }
  if (!enabled) {
    return false;
  }
  ConfigValue empty;
  empty.kind = ConfigValue::Kind::kObject;
  empty.position = block.position;
  const ConfigValue* data = block.Find("plugin_data");
  if (data == nullptr || data->kind == ConfigValue::Kind::kNull) {
    ReadOptions(empty, data_options, path, report);
  }
  ReadOptions(block,
              {{"plugin_data", Section(std::move(data_options)), "The plugin's own options."},
               {"plugin_data_file", NotSupported(), "The plugin's own options in a file."},
               {"plugin_cmd", NotSupported(), "The program of an external plugin."},
               {"plugin_args", NotSupported(), "Its arguments."},
               {"plugin_checksum", NotSupported(), "Its SHA-256."},
               {"enabled", Into(enabled), "Whether it is used."}},
              path, report);
  return true;
}

void NoSuchPlugin(const ConfigValue& block, std::string_view path, std::string_view known,
                  ConfigReport& report) {
  bool enabled = true;
  ConfigReport ignored("");
  if (const ConfigValue* value = block.Find("enabled"); value != nullptr) {
    Into(enabled)(*value, path, ignored);
  }
  if (enabled) {
    report.AddError(block.position,
                    fmt::format("{} is not supported, only {} can be used", path, known));
  }
}

}  // namespace assay
