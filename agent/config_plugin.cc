// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_plugin.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/hcl_printer.h"
#include "plugins/program.h"

namespace assay {
namespace {

constexpr std::string_view kOnlyExternal = "only with plugin_cmd";

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
      {"plugin_data", Section(plugin.data), "The plugin's own options."},
      // With a program it is another plugin, if there can be one of the type.
      {"plugin_cmd", NotSupported(), "The program of an external plugin."},
      {"plugin_args", WithoutEffect(kOnlyExternal), "Its arguments."},
      {"plugin_checksum", WithoutEffect(kOnlyExternal), "Its SHA-256."},
      {"plugin_user", WithoutEffect(kOnlyExternal), "As whom it runs."},
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
                                  .options = std::make_shared<const OptionTable>(plugin.data),
                                  .text = text->Clone()});
          },
          {.kind = "text"}};
}

bool Has(const ConfigValue& block, std::string_view name) {
  const ConfigValue* value = block.Find(name);
  return value != nullptr && value->kind != ConfigValue::Kind::kNull;
}

void CheckOneData(const ConfigValue& block, std::string_view path, ConfigReport& report) {
  if (Has(block, "plugin_data") && Has(block, "plugin_data_file")) {
    report.AddError(block.position,
                    fmt::format("{}: only one of plugin_data, plugin_data_file can be used", path));
  }
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
  if (!Has(block, "plugin_data") && !Has(block, "plugin_data_file")) {
    ReadOptions(empty, plugin.data, path, report);
  }
  CheckOneData(block, path, report);
  bool enabled = true;
  OptionTable table = BlockOptions(plugin, enabled);
  table.push_back(
      {"plugin_data_file", DataFile(plugin, files), "The plugin's own options in a file."});
  ReadOptions(block, table, path, report);
  return true;
}

// Taken as it is, and handed over as text.
OptionReader ExternalData(std::optional<Secret>& data) {
  return {[&data](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const std::vector<const ConfigValue*> blocks = value.Blocks();
            if (blocks.size() != 1) {
              report.AddError(value.position, fmt::format("{}: expected one block", path));
              return;
            }
            std::string text = PrintHcl(*blocks[0]);
            if (!text.empty()) {
              data = Secret::TakeFrom(text);
            }
          },
          {.kind = "block"}};
}

OptionReader ExternalDataFile(ExternalPlugin& plugin, PluginFiles& files) {
  return {[&plugin, &files](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const std::optional<std::string> name = TextOf(value, path, report);
            if (!name.has_value()) {
              return;
            }
            absl::StatusOr<Secret> text = files.read(*name);
            if (!text.ok()) {
              report.AddError(value.position, fmt::format("{}: {}", path, Message(text.status())));
              return;
            }
            files.used.push_back({.name = *name,
                                  .option = std::string(path),
                                  .options = nullptr,
                                  .text = text->Clone()});
            plugin.data = *std::move(text);
            plugin.data_in_file = true;
          },
          {.kind = "text"}};
}

OptionReader Checksum(std::string& checksum) {
  return {[&checksum](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const std::optional<std::string> text = TextOf(value, path, report);
            if (!text.has_value() || text->empty()) {
              return;
            }
            if (const absl::Status status = CheckPluginChecksum(*text); !status.ok()) {
              report.AddError(value.position, fmt::format("{}: {}", path, Message(status)));
            }
            checksum = *text;
          },
          {.kind = "text"}};
}

bool IsExternal(const ConfigValue& block, std::string_view path) {
  ConfigReport ignored("");
  const ConfigValue* command = block.Find("plugin_cmd");
  return command != nullptr && !TextOf(*command, path, ignored).value_or("").empty();
}

// False when it is switched off or cannot be.
bool ReadExternal(const ExternalPlugins& external, std::string_view name, const ConfigValue& block,
                  std::string_view path, std::pair<PluginFiles&, ConfigReport&> into) {
  auto& [files, report] = into;
  if (!IsEnabled(block, path)) {
    return false;
  }
  if (name == external.built_in) {
    report.AddError(block.position,
                    fmt::format("{}: the built-in {} cannot be overridden by an external plugin",
                                path, external.built_in));
    return false;
  }
  CheckOneData(block, path, report);
  ExternalPlugin plugin;
  plugin.plugin = {external.type, std::string(name)};
  ReadOptions(block, ExternalPluginOptions(plugin, files), path, report);
  external.choose(std::move(plugin));
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
                  known.empty()
                      ? fmt::format("{} is not supported without a plugin_cmd", path)
                      : fmt::format("{} is not supported, only {} can be used", path, known));
}

}  // namespace

OptionTable ExternalPluginOptions(ExternalPlugin& plugin, PluginFiles& files) {
  return {
      {"plugin_cmd", Into(plugin.command), "The program of an external plugin."},
      {"plugin_args", Into(plugin.arguments), "Its arguments."},
      {"plugin_checksum", Checksum(plugin.checksum),
       "SHA-256 of the program in hex; another one is not executed. Unset: any."},
      {"plugin_user", Into(plugin.user),
       "User that it runs as, when root starts the agent. Unset: who starts the agent."},
      {"plugin_data", ExternalData(plugin.data), "The plugin's own options."},
      {.name = "plugin_data_file",
       .read = ExternalDataFile(plugin, files),
       .doc = "The plugin's own options in a file.",
       .reloads = true},
      {"enabled", Into(plugin.enabled), "Whether it is used."},
  };
}

OptionReader Plugins(std::string_view type, std::vector<Plugin> plugins, Number number,
                     PluginFiles& files, std::optional<ExternalPlugins> external) {
  OptionTable known;
  bool unused = true;
  for (const Plugin& plugin : plugins) {
    OptionTable block = BlockOptions(plugin, unused);
    block.push_back({.name = "plugin_data_file",
                     .read = OptionReader(nullptr, {.kind = "text"}),
                     .doc = "The plugin's own options in a file.",
                     .reloads = std::any_of(plugin.data.begin(), plugin.data.end(),
                                            [](const Option& option) { return option.reloads; })});
    known.push_back({plugin.name, Section(std::move(block)), plugin.doc});
  }
  auto chosen = std::make_shared<int>(0);
  return LabelledBlocks(
      [type, number, chosen, plugins = std::move(plugins), external = std::move(external), &files](
          std::string_view label, const ConfigValue& block, std::string_view path,
          ConfigReport& report) {
        if (external.has_value() && IsExternal(block, path)) {
          if (ReadExternal(*external, label, block, path, {files, report}) && ++*chosen > 1 &&
              number == Number::kOne) {
            report.AddError(block.position, fmt::format("{}: only one {} can be used", path, type));
          }
          return;
        }
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
