// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/plugin_type.h"

#include <fmt/format.h>

#include <algorithm>

namespace assay {

std::string_view NameOf(PluginType type) {
  switch (type) {
    case PluginType::kNodeAttestor:
      return "NodeAttestor";
    case PluginType::kWorkloadAttestor:
      return "WorkloadAttestor";
    case PluginType::kSvidStore:
      break;
  }
  return "SVIDStore";
}

std::string_view ServiceOf(PluginType type) {
  switch (type) {
    case PluginType::kNodeAttestor:
      return "spire.plugin.agent.nodeattestor.v1.NodeAttestor";
    case PluginType::kWorkloadAttestor:
      return "spire.plugin.agent.workloadattestor.v1.WorkloadAttestor";
    case PluginType::kSvidStore:
      break;
  }
  return "spire.plugin.agent.svidstore.v1.SVIDStore";
}

std::string PluginName::ToString() const {
  std::string lower(NameOf(type));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return fmt::format("{}({})", lower, name);
}

}  // namespace assay
