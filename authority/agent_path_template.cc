// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/agent_path_template.h"

#include <algorithm>

#include "base/trimmed.h"

namespace assay {

absl::StatusOr<AgentPathTemplate> AgentPathTemplate::Parse(
    std::string_view text, std::span<const std::string_view> names) {
  if (!text.starts_with('/')) {
    return InvalidArgument("{} does not begin with \"/\"", Quoted(text));
  }
  std::vector<Part> parts;
  while (!text.empty()) {
    const size_t open = text.find("{{");
    if (open != 0) {
      parts.push_back({std::string(text.substr(0, open)), false});
      text.remove_prefix(std::min(open, text.size()));
      continue;
    }
    const size_t close = text.find("}}");
    if (close == text.npos) {
      return InvalidArgument("{} has no end in \"}}}}\"", Quoted(text));
    }
    std::string_view name = Trimmed(text.substr(2, close - 2));
    const bool dotted = name.starts_with('.');
    name.remove_prefix(dotted ? 1 : 0);
    if (!dotted || std::find(names.begin(), names.end(), name) == names.end()) {
      return InvalidArgument("{} is none of: .{}", Quoted(text.substr(0, close + 2)),
                             fmt::join(names, ", ."));
    }
    parts.push_back({std::string(name), true});
    text.remove_prefix(close + 2);
  }
  return AgentPathTemplate(std::move(parts));
}

absl::StatusOr<std::string> AgentPathTemplate::Expand(Values values) const {
  std::string path = "/spire/agent";
  for (const Part& part : parts_) {
    if (!part.is_name) {
      path += part.text;
      continue;
    }
    const auto value = std::find_if(values.begin(), values.end(),
                                    [&](const auto& pair) { return pair.first == part.text; });
    if (value == values.end() || value->second.empty() ||
        value->second.find('/') != std::string::npos) {
      return InvalidArgument(
          "agent_path_template wants .{}, which the node has not or which holds a \"/\": {}",
          part.text, Quoted(value == values.end() ? "" : value->second));
    }
    path += value->second;
  }
  return path;
}

}  // namespace assay
