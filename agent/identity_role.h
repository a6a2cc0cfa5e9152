// SPDX-License-Identifier: GPL-3.0-or-later
// The identity role: the process that has the agent's key and talks to the upstream.
#pragma once

#include "base/unique_fd.h"

namespace assay {

// Serves the control channel until it is told to stop; returns the process's exit status.
int RunIdentity(UniqueFd control);

}  // namespace assay
