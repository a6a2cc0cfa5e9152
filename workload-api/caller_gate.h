// SPDX-License-Identifier: GPL-3.0-or-later
// Through which the calls of processes on this machine pass: it says what identities the calling
// process has, having made sure that it is still the one that connected.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/attestor_run.h"
#include "workload-api/identity_set.h"

namespace assay {

// A call that must end with its caller, though its socket may live on in another process.
class CallerObserver {
 public:
  virtual ~CallerObserver() = default;
  // The process has ended, or is refused for good; why is what the call ends with.
  virtual void OnCallerGone(const absl::Status& why) = 0;
};

// What the audit log says of a caller besides its number and user; what is not known is empty.
struct AuditedCaller {
  uint64_t start_ticks = 0;  // From the machine's boot to its start (proc(5)): tells it from others
                             // of its number.
  absl::Time started;        // The same by the wall clock.
  std::string cgroup;        // Its path.
  std::string executable_sha256;  // Hex.
  pid_t asks_for = 0;             // Of a delegate: the process whose identities it gets.
};

class CallerGate {
 public:
  // The caller's identities, perhaps none; Unavailable when they cannot be told, PermissionDenied
  // when the process is not the one that connected any more.
  using Admitted = std::function<void(absl::StatusOr<std::shared_ptr<IdentitySet>>)>;

  virtual ~CallerGate() = default;
  // Calls back once, now or later, on the loop's thread; also after the call is over. With
  // identities only for a process that is alive at that moment.
  virtual void Admit(rpc::Call& call, Admitted admitted) = 0;
  // Until Forget, which must come before the call is destroyed.
  virtual void Observe(rpc::Call& call, CallerObserver& observer) = 0;
  virtual void Forget(rpc::Call& call, CallerObserver& observer) = 0;
  // As it was when the caller was attested.
  virtual AuditedCaller Audited(rpc::Call& /*call*/) { return {}; }
  // How the attestors did when the process that the call is answered for was attested last; empty
  // when nobody knows.
  virtual AttestorRuns LastRuns(rpc::Call& /*call*/) { return {}; }
};

}  // namespace assay
