// SPDX-License-Identifier: GPL-3.0-or-later
// A server-streaming call that sends the caller's complete state, and again whenever it has
// changed, until the caller, its identities or its process go away. Who has a complete state is
// sent a partial one only when that takes back what it has, or the rest does not come. The caller
// is admitted anew before each message that had to wait.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string_view>

#include "base/event_loop.h"
#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/call_context.h"

namespace assay {

class StateStream : public rpc::CallHandler, public IdentityObserver, public CallerObserver {
 public:
  using Context = CallContext;

  StateStream(rpc::Call& call, const Context& context);
  ~StateStream() override;

  void OnMessage(std::string_view bytes) override;
  void OnHalfClose() override;
  void OnIdentitiesChanged() override;
  void OnCallerGone(const absl::Status& why) override;

 protected:
  // What to do for the caller now.
  struct Answer {
    bool refused = false;              // It has no identity.
    rpc::SharedFrame frame = nullptr;  // Its state; null: there is none yet.
    bool partial = false;              // More is on its way, and worth waiting for.
    bool empty = false;  // The frame takes back what was sent, and is not for who has nothing.
    // While this is the same, what was sent before the frame is still good.
    uint64_t withdrawals = 0;
  };
  virtual Answer Look(IdentitySet& identities) = 0;
  // Takes the request, once; what fails ends the call. Those of the Workload API have no fields,
  // and what a later version adds is not for this one.
  virtual absl::Status Take(std::string_view /*request*/) { return absl::OkStatus(); }
  // What a call ends with that Look has refused; told to the log here.
  virtual absl::Status Refusal(IdentitySet& identities);
  // Looks again, for there is something new besides the identities.
  void LookAgain();
  // Before the frame is sent, in the same breath: tells the audit what is in it. The call ends with
  // an error, and then the frame is not sent.
  virtual absl::Status Declare(IdentitySet& /*identities*/) { return absl::OkStatus(); }
  // "FetchX509SVID", as the log calls it.
  virtual std::string_view name() const = 0;

  const Context& context() const { return context_; }
  rpc::Call& call() { return call_; }

 private:
  void OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities);
  void WaitAtMost(absl::Duration time);
  void OnWaited();
  // True: the process is gone, and the call has ended. Entitlement and life are looked at before
  // each message (Workload API, appendix A): this, or admission, which does it too, comes before
  // each Push.
  bool EndIfDead();
  // Sends what is new. Only what was looked at in the same breath as the caller is sent: admitted
  // says that it has just been.
  void Push(bool admitted);
  void AdmitAgain();
  void OnAdmittedAgain(absl::StatusOr<std::shared_ptr<IdentitySet>> identities);
  void EndUnadmitted(const absl::Status& why);
  void End(const absl::Status& status);

  rpc::Call& call_;
  const Context context_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<IdentitySet> identities_;
  rpc::SharedFrame sent_;
  EventLoop::TimerId wait_timer_ = 0;
  bool started_ = false;
  bool ready_ = false;   // The state was, when it was last looked at.
  bool waited_ = false;  // As long as a caller waits for SVIDs.
  bool observing_ = false;
  bool admitting_again_ = false;
  uint64_t sent_withdrawals_ = 0;  // As they were when sent_ was.
};

}  // namespace assay
