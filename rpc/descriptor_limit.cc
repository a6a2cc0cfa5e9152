// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/log.h"

namespace assay::rpc {
namespace {

// The socket and the caller's pidfd.
constexpr rlim_t kDescriptorsOfConnection = 2;
// For everything else; of a small limit a quarter.
constexpr rlim_t kDescriptorsKept = 256;

}  // namespace

size_t AffordableConnections(size_t wanted) {
  const rlim_t needed = kDescriptorsOfConnection * wanted + kDescriptorsKept;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return wanted;
  }
  if (limit.rlim_cur < needed) {
    rlimit raised = limit;
    raised.rlim_cur = std::min(limit.rlim_max, needed);
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
      limit = raised;
    }
  }
  if (limit.rlim_cur >= needed) {
    return wanted;
  }
  const rlim_t kept = std::min(kDescriptorsKept, limit.rlim_cur / 4);
  const auto affordable = static_cast<size_t>((limit.rlim_cur - kept) / kDescriptorsOfConnection);
  log::Warn("the limit of open files leaves room for fewer connections",
            {{"connections", affordable}, {"open_files", limit.rlim_cur}, {"wanted", wanted}});
  return std::max<size_t>(affordable, 1);
}

}  // namespace assay::rpc
