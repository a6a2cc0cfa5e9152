// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "agent/config.h"
#include "agent/config_arguments.h"
#include "agent/config_options.h"
#include "base/option_table.h"

namespace assay {
namespace {

constexpr std::string_view kIntroduction =
    R"(# Configuration of assay-agent

<!-- Made by scripts/configuration.sh from the tables that the program reads by; a test compares. -->

`assay-agent run -config FILE` (default `conf/agent/agent.conf`) reads spire-agent's file, in HCL or,
when it begins with `{`, in JSON. The command line goes before the file, the file before the
defaults. `-expandEnv` puts the environment's variables in the place of `$NAME` and `${NAME}` first.
Durations carry units: `"5s"`, `"1h30m"`. `assay-agent validate` takes the same flags and names every
mistake, in a plugin's options too, with file, line and column.

| signal | does |
|---|---|
| TERM, INT | stops within 10 s, exit status 0 |
| HUP | reads the file anew: takes up the options marked "yes" below, and names in the log those that have changed and need a restart. A file with a mistake changes nothing. Opens the audit log's file anew |
| USR1 | the same for what each `plugin_data_file` holds |
| USR2 | opens `log_file` and the audit log's file anew, after a rotation has moved them |
)";

constexpr std::string_view kPlugins = R"(
A plugin is a block `Type "name" { ... }` with its own options in `plugin_data { ... }`, or in the
same form in the file that `plugin_data_file` names. With `enabled = false` it counts as absent. One
KeyManager and one NodeAttestor are used, and at least one WorkloadAttestor; with `join_token` or
`join_token_file` the node attestor is join_token whatever plugin there is.

With a `plugin_cmd` it is an external plugin: a program built with SPIRE's plugin SDK, of the type
NodeAttestor, WorkloadAttestor or SVIDStore and of any name but join_token's. The agent starts it, gives
it `plugin_data` as HCL, and starts it anew when it dies; `docs/security.md` says as whom and with
what. When it cannot be loaded the agent does not start.
)";

class Writer final {
 public:
  void Text(std::string_view text) { out_ += text; }
  // The options of a block, then the blocks in it.
  void Block(const std::string& path, const OptionTable& table);
  std::string Take() { return std::move(out_); }

 private:
  void Row(const std::string& path, const Option& option);
  void Plugins(const std::string& path, const OptionTable& known);

  const ConfigArguments arguments_{"run"};
  std::string out_;
};

std::string Code(std::string_view text) {
  return text.empty() ? std::string() : fmt::format("`{}`", text);
}

std::string Meaning(const Option& option) {
  const OptionForm& form = option.read.form();
  std::string text(option.doc);
  if (form.effect == OptionForm::Effect::kNone) {
    text += form.why.empty() ? " Has no effect." : fmt::format(" Has no effect: {}.", form.why);
  } else if (form.effect == OptionForm::Effect::kRefused) {
    text += " Not supported: an error unless it is false or empty.";
  }
  return text + (option.required ? " Required." : "");
}

void Writer::Row(const std::string& path, const Option& option) {
  const OptionForm& form = option.read.form();
  const std::string_view flag = path == "agent" ? arguments_.FlagOf(option.name) : "";
  out_ += fmt::format("| `{}`{} | {} | {} | {} | {} |\n", option.name,
                      flag.empty() ? "" : fmt::format(", `-{}`", flag), form.kind,
                      Code(form.initial), option.reloads ? "yes" : "", Meaning(option));
}

void Writer::Block(const std::string& path, const OptionTable& table) {
  if (!table.empty()) {
    out_ += "\n| option | value | default | at HUP | meaning |\n|---|---|---|---|---|\n";
  }
  for (const Option& option : table) {
    Row(path, option);
  }
  for (const Option& option : table) {
    const OptionForm& form = option.read.form();
    const std::string inner = fmt::format("{}.{}", path, option.name);
    if (form.labelled) {
      Plugins(inner, form.inside);
    } else if (!form.inside.empty()) {
      out_ += fmt::format("\n### {}\n", inner);
      Block(inner, form.inside);
    }
  }
}

void Writer::Plugins(const std::string& path, const OptionTable& known) {
  for (const Option& plugin : known) {
    out_ += fmt::format("\n### {} \"{}\"\n\n{}\n", path, plugin.name, plugin.doc);
    const OptionTable& block = plugin.read.form().inside;
    const auto data = std::find_if(block.begin(), block.end(),
                                   [](const Option& o) { return o.name == "plugin_data"; });
    Block(path, data->read.form().inside);
  }
}

}  // namespace

std::string ConfigDocument() {
  AgentConfig config;
  bool has_plugins = false;
  PluginFiles files;
  Writer writer;
  writer.Text(kIntroduction);
  for (const Option& block : RootOptions(config, has_plugins, files)) {
    writer.Text(fmt::format("\n## {}\n\n{}\n", block.name, block.doc));
    if (block.name == "plugins") {
      ExternalPlugin external;
      writer.Text(kPlugins);
      writer.Block("plugins.TYPE \"name\"", ExternalPluginOptions(external, files));
    }
    writer.Block(std::string(block.name), block.read.form().inside);
  }
  return writer.Take();
}

}  // namespace assay
