// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/bench/process_usage.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace assay::bench {
namespace {

double ThreadCpuMicroseconds(const std::filesystem::path& task) {
  std::ifstream file(task / "schedstat");
  double nanoseconds = 0;
  file >> nanoseconds;
  return nanoseconds / 1000;
}

double ProcessCpuMicroseconds(pid_t pid) {
  double sum = 0;
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
    sum += ThreadCpuMicroseconds(task.path());
  }
  return sum;
}

void AddMemory(pid_t pid, Usage& usage) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  std::string word;
  while (file >> word) {
    uint64_t kilobytes = 0;
    if (word == "Pss:" && file >> kilobytes) {
      usage.pss_bytes += kilobytes * 1024;
    } else if ((word == "Private_Dirty:" || word == "Private_Clean:") && file >> kilobytes) {
      usage.private_bytes += kilobytes * 1024;
    }
  }
}

}  // namespace

std::vector<pid_t> Tree(pid_t root) {
  std::vector<pid_t> tree = {root};
  for (size_t i = 0; i < tree.size(); ++i) {
    std::error_code error;
    for (const auto& task :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", tree[i]), error)) {
      std::ifstream file(task.path() / "children");
      pid_t child = 0;
      while (file >> child) {
        tree.push_back(child);
      }
    }
  }
  return tree;
}

Usage CpuOf(pid_t root) {
  Usage usage;
  for (pid_t pid : Tree(root)) {
    usage.cpu_microseconds += ProcessCpuMicroseconds(pid);
    ++usage.processes;
  }
  return usage;
}

Usage UsageOf(pid_t root) {
  Usage usage = CpuOf(root);
  for (pid_t pid : Tree(root)) {
    AddMemory(pid, usage);
  }
  return usage;
}

void OpenAsManyFilesAsAllowed() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace assay::bench
