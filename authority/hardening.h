// SPDX-License-Identifier: GPL-3.0-or-later
// What a process gives up, and what it takes, before it holds the keys of a CA and serves a fleet.
#pragma once

#include "base/status.h"

namespace assay {

// From here on the process cannot be traced or read by others of its user, leaves no core file and
// gains no privileges by what it executes. It may open as many descriptors as it can be granted.
absl::Status HardenProcess();

}  // namespace assay
