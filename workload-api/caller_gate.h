// SPDX-License-Identifier: GPL-3.0-or-later
// Through which the calls of processes on this machine pass: it says what identities the calling
// process has, having made sure that it is still the one that connected.
#pragma once

#include <functional>
#include <memory>

#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/identity_set.h"

namespace assay {

// A call that must end with its caller, though its socket may live on in another process.
class CallerObserver {
 public:
  virtual ~CallerObserver() = default;
  // The process has ended, or is refused for good; why is what the call ends with.
  virtual void OnCallerGone(const absl::Status& why) = 0;
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
};

}  // namespace assay
