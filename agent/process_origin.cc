// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/process_origin.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

#include "base/unique_fd.h"

namespace assay {
namespace {

constexpr size_t kMaxBytes = 16 << 10;

std::string ReadAt(int folder, const char* name) {
  const UniqueFd file(openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::string bytes(kMaxBytes, '\0');
  const ssize_t got = file.valid() ? read(file.get(), bytes.data(), bytes.size()) : 0;
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

// What stands before the separator, which goes with it.
std::string_view TakeUntil(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return part;
}

}  // namespace

std::optional<uint64_t> ParseStartTicks(std::string_view stat) {
  // The second field is the process's own name, in parentheses, and may have any bytes.
  constexpr int kFieldsBetween = 19;
  const size_t name_end = stat.rfind(") ");
  if (name_end == stat.npos) {
    return std::nullopt;
  }
  stat.remove_prefix(name_end + 2);
  for (int i = 0; i < kFieldsBetween; ++i) {
    TakeUntil(stat, ' ');
  }
  const std::string_view field = TakeUntil(stat, ' ');
  uint64_t ticks = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), ticks);
  const bool whole = error == std::errc() && end == field.data() + field.size();
  return whole && !field.empty() ? std::optional(ticks) : std::nullopt;
}

std::string ParseCgroup(std::string_view cgroup) {
  std::string_view of_systemd;
  while (!cgroup.empty()) {
    // "0::/system.slice/x.service", or "12:name=systemd:/..." of the first version.
    std::string_view line = TakeUntil(cgroup, '\n');
    const std::string_view hierarchy = TakeUntil(line, ':');
    const std::string_view controllers = TakeUntil(line, ':');
    if (hierarchy == "0" && controllers.empty() && line != "/") {
      return std::string(line.substr(0, ProcessOrigin::kMaxCgroupBytes));
    }
    if (controllers == "name=systemd" || of_systemd.empty()) {
      of_systemd = line;
    }
  }
  return std::string(of_systemd.substr(0, ProcessOrigin::kMaxCgroupBytes));
}

ProcessOrigin ReadOrigin(int folder) {
  return {.start_ticks = ParseStartTicks(ReadAt(folder, "stat")).value_or(0),
          .cgroup = ParseCgroup(ReadAt(folder, "cgroup"))};
}

}  // namespace assay
