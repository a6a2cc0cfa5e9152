// SPDX-License-Identifier: GPL-3.0-or-later
// What the audit log has of a process beside its number: when it started, which tells it from
// others of that number, and its cgroup (proc(5), cgroups(7)). Both are read in the process's own
// /proc folder, so they are never another process's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assay {

struct ProcessOrigin {
  static constexpr size_t kMaxCgroupBytes = 1024;  // A longer one is cut.

  uint64_t start_ticks = 0;  // From the machine's boot to its start; 0: unknown.
  std::string cgroup;        // Its path in the unified hierarchy, else in systemd's; may be empty.
};

// Of an open /proc/PID; what cannot be read, or a process that is gone has not, stays unknown.
ProcessOrigin ReadOrigin(int folder);

// The parts of the above that read no file, for their tests.
std::optional<uint64_t> ParseStartTicks(std::string_view stat);
std::string ParseCgroup(std::string_view cgroup);

}  // namespace assay
