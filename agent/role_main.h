// SPDX-License-Identifier: GPL-3.0-or-later
// Where a role's process begins: "assay-agent role NAME", started by the monitor with the control
// channel on descriptor 3.
#pragma once

#include <string_view>

#include "base/unique_fd.h"

namespace assay {

// The descriptor of the control channel in a role's process.
constexpr int kControlFd = 3;

// Hardens the process as the table of roles says and becomes the role; returns its exit status. 2
// for an unknown name, or when there is no monitor behind descriptor 3. run_identity is
// RunIdentity of agent/identity_role.h, handed in so that the other roles do without its library.
int RunRole(std::string_view name, int (*run_identity)(UniqueFd control));

// The roles whose code stands beside this: each serves its control channel until it is told to
// stop, and returns its exit status.
int RunServe(UniqueFd control);
int RunProbe(UniqueFd control);
int RunPlugin(UniqueFd control);

}  // namespace assay
