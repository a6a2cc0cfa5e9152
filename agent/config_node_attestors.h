// SPDX-License-Identifier: GPL-3.0-or-later
// The NodeAttestor plugins of the agent's configuration file, with spire-agent's option names.
#pragma once

#include "agent/config.h"
#include "base/option_table.h"

namespace assay {

// Reads the labelled NodeAttestor blocks, of which one may be used. The configuration must outlive
// the reader.
OptionReader NodeAttestors(AgentConfig& config);

}  // namespace assay
