// SPDX-License-Identifier: GPL-3.0-or-later
// The tables of the agent's options (base/option_table.h), bound to the fields of a configuration.
#pragma once

#include "agent/config.h"
#include "agent/config_plugins.h"
#include "base/option_table.h"

namespace assay {

// Of the whole file; has_plugins is set when it has a plugins block. All must outlive the table.
OptionTable RootOptions(AgentConfig& config, bool& has_plugins, PluginFiles& files);
// Of the agent block alone.
OptionTable AgentOptions(AgentConfig& config);

}  // namespace assay
