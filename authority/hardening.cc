// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/hardening.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

namespace assay {
namespace {

// 20,000 connections and room.
constexpr rlim_t kDescriptors = 65536;

}  // namespace

absl::Status HardenProcess() {
  const rlimit no_core{0, 0};
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "hardening the process");
  }
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < kDescriptors) {
    descriptors.rlim_cur = std::min(descriptors.rlim_max, kDescriptors);
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
  return absl::OkStatus();
}

}  // namespace assay
