// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_plugin.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace assay {
namespace {

bool IsEnabled(const ConfigValue& block, std::string_view path) {
  bool enabled = true;
  ConfigReport ignored("");
  if (const ConfigValue* value = block.Find("enabled"); value != nullptr) {
    Into(enabled)(*value, path, ignored);
  }
  return enabled;
}

// The options of a plugin's block, but for its plugin_data_file.
OptionTable BlockOptions(const Plugin& plugin, bool& enabled) {
  return {
      {.name = "plugin_data",
       .read = Section(plugin.data),
       .doc = "The plugin's own options.",
       .reloads = plugin.reloads},
      {"plugin_cmd", NotSupported(), "The program of an external plugin."},
      {"plugin_args", NotSupported(), "Its arguments."},
      {"plugin_checksum", NotSupported(), "Its SHA-256."},
      {"enabled", Into(enabled), "Whether it is used."},
  };
}

// Reads the plugin's own options from a file, in which they stand as in plugin_data. The file's
// mistakes are told with its own name.
OptionReader DataFile(const Plugin& plugin, PluginFiles& files) {
  return {[&plugin, &files](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const std::optional<std::string> name = TextOf(value, path, report);
            if (!name.has_value()) {
              return;
            }
            const absl::StatusOr<Secret> text = files.read(*name);
            absl::StatusOr<ConfigValue> data =
                text.ok() ? ParseConfig(*name, text->Reveal()) : text.status();
            if (!data.ok()) {
              report.AddError(value.position, fmt::format("{}: {}", path, Message(data.status())));
              return;
            }
            ConfigReport of_file(*name);
            ReadOptions(*data, plugin.data, path, of_file);
            WipeTexts(*data);
            report.Add(of_file);
            files.used.push_back({.name = *name,
                                  .option = std::string(path),
                                  .reloads = plugin.reloads,
                                  .text = text->Clone()});
          },
          {.kind = "text"}};
}

// False when it is switched off: then its options do not count.
bool ReadPlugin(const Plugin& plugin, PluginFiles& files, const ConfigValue& block,
                std::string_view path, ConfigReport& report) {
  if (!IsEnabled(block, path)) {
    return false;
  }
  ConfigValue empty;
  empty.kind = ConfigValue::Kind::kObject;
  empty.position = block.position;
  const auto has = [&block](std::string_view name) {
    const ConfigValue* value = block.Find(name);
    return value != nullptr && value->kind != ConfigValue::Kind::kNull;
  };
  if (!has("plugin_data") && !has("plugin_data_file")) {
    ReadOptions(empty, plugin.data, path, report);
  } else if (has("plugin_data") && has("plugin_data_file")) {
    report.AddError(block.position,
                    fmt::format("{}: only one of plugin_data, plugin_data_file can be used", path));
  }
  bool enabled = true;
  OptionTable table = BlockOptions(plugin, enabled);
  table.push_back({.name = "plugin_data_file",
                   .read = DataFile(plugin, files),
                   .doc = "The plugin's own options in a file.",
                   .reloads = plugin.reloads});
  ReadOptions(block, table, path, report);
  return true;
}

void NoSuchPlugin(const ConfigValue& block, std::string_view path,
                  const std::vector<Plugin>& plugins, ConfigReport& report) {
  if (!IsEnabled(block, path)) {
    return;
  }
  std::string known;
  for (size_t i = 0; i < plugins.size(); ++i) {
    known += fmt::format("{}{}",
                         i == 0                    ? ""
                         : i + 1 == plugins.size() ? " or "
                                                   : ", ",
                         Quoted(plugins[i].name));
  }
  report.AddError(block.position,
                  fmt::format("{} is not supported, only {} can be used", path, known));
}

}  // namespace

OptionReader Plugins(std::string_view type, std::vector<Plugin> plugins, Number number,
                     PluginFiles& files) {
  OptionTable known;
  bool unused = true;
  for (const Plugin& plugin : plugins) {
    OptionTable block = BlockOptions(plugin, unused);
    block.push_back({"plugin_data_file", OptionReader(nullptr, {.kind = "text"}),
                     "The plugin's own options in a file."});
    known.push_back({plugin.name, Section(std::move(block)), plugin.doc});
  }
  auto chosen = std::make_shared<int>(0);
  return LabelledBlocks(
      [type, number, chosen, plugins = std::move(plugins), &files](
          std::string_view label, const ConfigValue& block, std::string_view path,
          ConfigReport& report) {
        const auto plugin = std::find_if(plugins.begin(), plugins.end(),
                                         [label](const Plugin& p) { return p.name == label; });
        if (plugin == plugins.end()) {
          NoSuchPlugin(block, path, plugins, report);
        } else if (ReadPlugin(*plugin, files, block, path, report)) {
          if (plugin->check != nullptr) {
            plugin->check(block.position, path, report);
          }
          if (++*chosen > 1 && number == Number::kOne) {
            report.AddError(block.position, fmt::format("{}: only one {} can be used", path, type));
          } else {
            plugin->choose();
          }
        }
      },
      std::move(known));
}

}  // namespace assay
