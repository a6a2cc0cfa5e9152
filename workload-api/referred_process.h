// SPDX-License-Identifier: GPL-3.0-or-later
// A process that a delegate, or an operator, refers to by its number: it is pinned when he names
// it, so that no later process of that number is taken for it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "spiffe/selector.h"
#include "workload-api/attestor_run.h"

namespace assay {

class ReferredProcess {
 public:
  // Normalized. NotFound when the process has ended, Unavailable when it could not be attested.
  using Attested = std::function<void(absl::StatusOr<std::vector<Selector>>)>;

  virtual ~ReferredProcess() = default;
  // Calls back once on the loop's thread, later, unless the object goes before; one at a time.
  virtual void Attest(Attested attested) = 0;
  // How the attestors did in the last attestation, also in one that failed.
  virtual AttestorRuns LastRuns() const { return {}; }
};

class ReferredProcesses {
 public:
  virtual ~ReferredProcesses() = default;
  // The process that has the number now, as the agent counts processes; asker: the user to whom
  // its attestations are charged. ended is called once, on the loop's thread, when it ends, unless
  // the object goes before, which it may do in that call. NotFound when there is none.
  virtual absl::StatusOr<std::unique_ptr<ReferredProcess>> Open(pid_t pid, uid_t asker,
                                                                std::function<void()> ended) = 0;
};

}  // namespace assay
