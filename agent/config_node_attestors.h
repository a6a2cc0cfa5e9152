// SPDX-License-Identifier: GPL-3.0-or-later
// The NodeAttestor plugins of the agent's configuration file, with spire-agent's option names.
#pragma once

#include <vector>

#include "agent/config.h"
#include "agent/config_plugin.h"

namespace assay {

// Bound to the configuration, which must outlive them.
std::vector<Plugin> NodeAttestorPlugins(AgentConfig& config);

}  // namespace assay
