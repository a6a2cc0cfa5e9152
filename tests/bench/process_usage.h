// SPDX-License-Identifier: GPL-3.0-or-later
// What a process and all its descendants have used: CPU time and memory, as the kernel counts them.
// And what a program that measures may itself use.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace assay::bench {

struct Usage {
  double cpu_microseconds = 0;  // Of all threads alive, user and system (schedstat).
  uint64_t pss_bytes = 0;       // Proportional set size: shared pages divided by their users.
  uint64_t private_bytes = 0;
  int processes = 0;
};

// The process and everything below it.
std::vector<pid_t> Tree(pid_t root);
Usage CpuOf(pid_t root);
// CPU and memory; reading memory costs the kernel milliseconds, so not inside a timed span.
Usage UsageOf(pid_t root);

// Of this process, which holds a connection for each of many clients.
void OpenAsManyFilesAsAllowed();

}  // namespace assay::bench
