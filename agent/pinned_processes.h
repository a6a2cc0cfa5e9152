// SPDX-License-Identifier: GPL-3.0-or-later
// The processes that delegates refer to: serve opens a pidfd when one is named, and has the probe
// role attest that process by it. Owned by the serve role's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>

#include "agent/probe_client.h"
#include "base/event_loop.h"
#include "workload-api/referred_process.h"

namespace assay {

class PinnedProcesses final : public ReferredProcesses {
 public:
  // Of all delegates at a time, for each takes a descriptor: more are ResourceExhausted.
  static constexpr size_t kMost = 8192;

  // Both must outlive it, and it its processes.
  PinnedProcesses(EventLoop& loop, ProbeClient& probe, size_t most = kMost)
      : loop_(loop), probe_(probe), most_(most) {}

  absl::StatusOr<std::unique_ptr<ReferredProcess>> Open(pid_t pid, uid_t asker,
                                                        std::function<void()> ended) override;

 private:
  EventLoop& loop_;
  ProbeClient& probe_;
  const size_t most_;
  size_t open_ = 0;
};

}  // namespace assay
