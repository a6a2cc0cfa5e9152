// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/unary_call.h"

#include <utility>

namespace assay {

UnaryCall::~UnaryCall() {
  *alive_ = false;
  End();
}

bool UnaryCall::Serve(std::string_view bytes, rpc::Responder /*responder*/) {
  if (!Parse(bytes)) {
    return false;
  }
  if (absl::Status sense = Check(); !sense.ok()) {
    Fail(sense);
    return true;
  }
  context_.gate.Admit(call_, [this, alive = alive_](auto identities) {
    if (*alive && !ended_) {
      OnAdmitted(std::move(identities));
    }
  });
  return true;
}

void UnaryCall::OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities) {
  if (!identities.ok()) {
    LogUnadmitted(context_, call_, name(), identities.status());
    Fail(identities.status());
    return;
  }
  identities_ = *std::move(identities);
  ready_ = context_.state.ready();
  if (ready_) {
    Look(*identities_);
  }
  if (!ended_) {
    identities_->Observe(*this);
    context_.gate.Observe(call_, *this);
    observing_ = true;
    WaitAtMost(ready_ ? IdentitySet::kPatience
                      : context_.first_state_deadline - context_.clock.SinceBoot());
  }
}

void UnaryCall::WaitAtMost(absl::Duration time) {
  context_.loop.Cancel(wait_timer_);
  wait_timer_ = context_.loop.After(time, [this] {
    wait_timer_ = 0;
    ready_ ? OnPatienceEnded()
           : Fail(Unavailable("the agent has not synchronised with its upstream yet"));
  });
}

void UnaryCall::LookAgain() {
  if (ended_ || !context_.state.ready()) {
    return;
  }
  if (!std::exchange(ready_, true)) {
    WaitAtMost(IdentitySet::kPatience);
  }
  // Entitlement and life are looked at before an answer (Workload API, appendix A).
  if (!call_.peer().process.Alive()) {
    Fail(Unavailable("the caller has exited"));
    return;
  }
  Look(*identities_);
}

void UnaryCall::Reply(const google::protobuf::MessageLite& message) {
  if (!ended_) {
    End();
    call_.Send(std::make_shared<const rpc::Frame>(message));
    call_.Finish(absl::OkStatus());
  }
}

void UnaryCall::Fail(const absl::Status& why) {
  if (!ended_) {
    End();
    call_.Finish(why);
  }
}

void UnaryCall::End() {
  ended_ = true;
  context_.loop.Cancel(std::exchange(wait_timer_, 0));
  if (std::exchange(observing_, false)) {
    identities_->Forget(*this);
    context_.gate.Forget(call_, *this);
  }
}

}  // namespace assay
