// SPDX-License-Identifier: GPL-3.0-or-later
// What the agent offers its plugins: metrics, which are taken and dropped, for this agent has none.
#pragma once

#include <string>
#include <vector>

#include "rpc/call.h"

namespace assay {

// Adds the services, and returns their full names.
std::vector<std::string> AddHostServices(rpc::Registry& registry);

}  // namespace assay
