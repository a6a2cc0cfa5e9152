// SPDX-License-Identifier: GPL-3.0-or-later
// A server-streaming call that sends the caller's complete state, and again whenever it has
// changed, until the caller, its identities or its process go away.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/caller_gate.h"
#include "workload-api/identity_set.h"
#include "workload-api/served_state.h"

namespace assay {

class StateStream : public rpc::CallHandler, public IdentityObserver, public CallerObserver {
 public:
  struct Context {
    EventLoop& loop;
    const Clock& clock;
    const ServedState& state;
    CallerGate& gate;
    // By clock's SinceBoot(): until then calls wait for the first state.
    absl::Duration first_state_deadline;
    const std::function<void()>& on_refused;
  };

  StateStream(rpc::Call& call, const Context& context);
  ~StateStream() override;

  void OnMessage(std::string_view bytes) override;
  void OnHalfClose() override;
  void OnIdentitiesChanged() override;
  void OnCallerGone() override;

 protected:
  // What to do for the caller now.
  struct Answer {
    bool refused = false;    // It has no identity.
    rpc::SharedFrame frame;  // Its state; null: there is none yet.
    bool partial = false;    // More is on its way: worth waiting for before the first message.
  };
  virtual Answer Look(IdentitySet& identities, bool waited) = 0;
  // "FetchX509SVID", as the log calls it.
  virtual std::string_view name() const = 0;

 private:
  void OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities);
  void WaitAtMost(absl::Duration time);
  void OnWaited();
  void Push();
  void Refuse();
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
};

}  // namespace assay
