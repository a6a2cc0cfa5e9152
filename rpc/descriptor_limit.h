// SPDX-License-Identifier: GPL-3.0-or-later
// How many connections the limit of open files (RLIMIT_NOFILE) leaves room for.
#pragma once

#include <cstddef>

namespace assay::rpc {

// As many of the wanted connections as the process may have descriptors for, with some left for
// everything else, and at least one. The soft limit is raised for them as far as the hard one lets.
size_t AffordableConnections(size_t wanted);

}  // namespace assay::rpc
