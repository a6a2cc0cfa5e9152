// SPDX-License-Identifier: GPL-3.0-or-later
// The options of what the agent tells of itself over HTTP: its health, and its metrics.
#pragma once

#include "agent/config.h"
#include "base/option_table.h"

namespace assay {

// The health_checks block.
OptionTable HealthOptions(HealthConfig& health);
// The telemetry block.
OptionTable TelemetryOptions(TelemetryConfig& telemetry);

// Adds an error for what does not go together.
void CheckListeners(const AgentConfig& config, ConfigReport& report);

}  // namespace assay
