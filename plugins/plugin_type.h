// SPDX-License-Identifier: GPL-3.0-or-later
// The types of external plugins: programs that speak go-plugin's protocol and serve one of the
// interfaces of SPIRE's plugin SDK.
#pragma once

#include <string>
#include <string_view>

namespace assay {

enum class PluginType { kNodeAttestor, kWorkloadAttestor, kSvidStore };

// As in the configuration, which is also the plugin's magic cookie: "WorkloadAttestor".
std::string_view NameOf(PluginType type);
// The full name of the gRPC service that a plugin of the type has.
std::string_view ServiceOf(PluginType type);

// Which plugin it is.
struct PluginName {
  PluginType type = PluginType::kNodeAttestor;
  std::string name;  // Of its block; its selectors' type.

  // "workloadattestor(name)", as the reference begins messages of plugins.
  std::string ToString() const;
  bool operator==(const PluginName&) const = default;
};

}  // namespace assay
