// SPDX-License-Identifier: GPL-3.0-or-later
// The tables of the agent's plugins: each type's, and of each plugin that this program has the
// options in its plugin_data, or in a plugin_data_file.
#pragma once

#include "agent/config.h"
#include "agent/config_plugin.h"
#include "base/option_table.h"

namespace assay {

// Of the plugins block. Both must outlive the table.
OptionTable PluginOptions(AgentConfig& config, PluginFiles& files);

}  // namespace assay
