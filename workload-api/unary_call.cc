// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/unary_call.h"

#include <utility>

#include "base/log.h"

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
  Charge(kept_bytes());
  if (!ended_) {
    Admit();
  }
  return true;
}

absl::Status UnaryCall::Refused(std::string_view words, const absl::Status& why) {
  const rpc::ProcessPeer& process = call_.peer().process;
  if (context_.refusals.MayWrite(process.uid)) {
    log::Error(words, {{"error", why},
                       {"method", name()},
                       {"pid", process.pid},
                       {"service", context_.service},
                       {"subsystem_name", context_.subsystem}});
  }
  return why;
}

void UnaryCall::Charge(size_t bytes) {
  if (!ended_ && !call_.Keep(bytes)) {
    Fail(ResourceExhausted("no memory for a large request at this time"));
  }
}

void UnaryCall::Admit() {
  if (std::exchange(admitting_, true)) {
    return;
  }
  context_.gate.Admit(call_, [this, alive = alive_](auto identities) {
    if (*alive && !ended_) {
      admitting_ = false;
      OnAdmitted(std::move(identities));
    }
  });
}

void UnaryCall::OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities) {
  if (!identities.ok()) {
    LogUnadmitted(context_, call_, name(), identities.status());
    Fail(identities.status());
    return;
  }
  if (observing_ && *identities != identities_) {
    identities_->Forget(*this);
    (*identities)->Observe(*this);
  }
  identities_ = *std::move(identities);
  const bool was_ready = std::exchange(ready_, context_.state.ready());
  if (ready_) {
    admitted_ = true;
    Look(*identities_);
    admitted_ = false;
  }
  if (ended_) {
    return;
  }
  if (!std::exchange(observing_, true)) {
    identities_->Observe(*this);
    context_.gate.Observe(call_, *this);
    WaitAtMost(ready_ ? IdentitySet::kPatience
                      : context_.first_state_deadline - context_.clock.SinceBoot());
  } else if (!was_ready && ready_) {
    WaitAtMost(IdentitySet::kPatience);
  }
}

// Entitlement and life are looked at before an answer (Workload API, appendix A).
bool UnaryCall::MayReply() {
  if (!admitted_) {
    Admit();
  }
  return admitted_;
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
