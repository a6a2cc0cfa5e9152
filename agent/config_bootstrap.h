// SPDX-License-Identifier: GPL-3.0-or-later
// The part of the configuration that says whom to trust at the first contact with the upstream:
// which options go together, and how the address of another agent's Workload API is written.
#pragma once

#include <string>

#include "agent/config.h"
#include "base/option_table.h"
#include "base/status.h"

namespace assay {

// Adds an error for each combination that is none of a way to trust the upstream.
void CheckBootstrap(const AgentConfig& config, ConfigReport& report);

// What gRPC connects to for "unix:///path", "unix:/path" or "tcp://ADDRESS:PORT" (SPIFFE Workload
// Endpoint §4); InvalidArgument says what is wrong with another text.
absl::StatusOr<std::string> WorkloadApiTarget(const std::string& address);

}  // namespace assay
