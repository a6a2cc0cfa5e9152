// SPDX-License-Identifier: GPL-3.0-or-later
// What the agent's plugins have in common in its configuration file: an `enabled`, a plugin_data of
// their own, and the program of an external one.
#pragma once

#include <string_view>

#include "base/option_table.h"

namespace assay {

// Reads the body of one plugin: its plugin_data by the given options, nothing else. False when it
// is switched off.
bool ReadPlugin(const ConfigValue& block, OptionTable data_options, std::string_view path,
                ConfigReport& report);
// An error for a plugin of another name than the known ones, unless it is switched off.
void NoSuchPlugin(const ConfigValue& block, std::string_view path, std::string_view known,
                  ConfigReport& report);

}  // namespace assay
