// SPDX-License-Identifier: GPL-3.0-or-later
// The NodeAttestor plugins of the authority's configuration file, with SPIRE Server's option names.
#pragma once

#include <string_view>

#include "authority/config_options.h"
#include "base/option_table.h"

namespace assay {

// Reads NodeAttestor "name" into the draft, if it is enabled. A name that the authority does not
// have is an error.
void ReadNodeAttestor(AuthorityDraft& draft, std::string_view name, const ConfigValue& block,
                      std::string_view path, ConfigReport& report);

}  // namespace assay
