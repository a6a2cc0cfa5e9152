// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/state_stream.h"

#include <utility>

namespace assay {

StateStream::StateStream(rpc::Call& call, const Context& context)
    : call_(call), context_(context) {}

StateStream::~StateStream() {
  *alive_ = false;
  context_.loop.Cancel(wait_timer_);
  if (observing_) {
    identities_->Forget(*this);
    context_.gate.Forget(call_, *this);
  }
}

void StateStream::OnMessage(std::string_view bytes) {
  // A second message is ignored.
  if (std::exchange(started_, true)) {
    return;
  }
  if (absl::Status taken = Take(bytes); !taken.ok()) {
    End(taken);
    return;
  }
  context_.gate.Admit(call_, [this, alive = alive_](auto identities) {
    if (*alive) {
      OnAdmitted(std::move(identities));
    }
  });
}

void StateStream::OnHalfClose() {
  if (!started_) {
    End(Internal("the call has no request message"));
  }
}

void StateStream::OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities) {
  if (!identities.ok()) {
    EndUnadmitted(identities.status());
    return;
  }
  identities_ = *std::move(identities);
  identities_->Observe(*this);
  context_.gate.Observe(call_, *this);
  observing_ = true;
  ready_ = context_.state.ready();
  Push(/*admitted=*/true);
  if (observing_ && sent_ == nullptr && wait_timer_ == 0) {
    WaitAtMost(ready_ ? IdentitySet::kPatience
                      : context_.first_state_deadline - context_.clock.SinceBoot());
  }
}

void StateStream::EndUnadmitted(const absl::Status& why) {
  LogUnadmitted(context_, call_, name(), why);
  End(why);
}

void StateStream::AdmitAgain() {
  if (!std::exchange(admitting_again_, true)) {
    context_.gate.Admit(call_, [this, alive = alive_](auto identities) {
      if (*alive) {
        admitting_again_ = false;
        OnAdmittedAgain(std::move(identities));
      }
    });
  }
}

void StateStream::OnAdmittedAgain(absl::StatusOr<std::shared_ptr<IdentitySet>> identities) {
  if (!observing_) {
    return;  // The call has ended meanwhile.
  }
  if (!identities.ok()) {
    EndUnadmitted(identities.status());
    return;
  }
  if (*identities != identities_) {
    identities_->Forget(*this);
    identities_ = *std::move(identities);
    identities_->Observe(*this);
    sent_withdrawals_ = UINT64_MAX;
  }
  Push(/*admitted=*/true);
}

void StateStream::WaitAtMost(absl::Duration time) {
  context_.loop.Cancel(wait_timer_);
  wait_timer_ = context_.loop.After(time, [this] { OnWaited(); });
}

void StateStream::OnWaited() {
  wait_timer_ = 0;
  if (!ready_) {
    End(Unavailable("the agent has not synchronised with its upstream yet"));
    return;
  }
  waited_ = true;
  if (!EndIfDead()) {
    Push(/*admitted=*/false);
  }
}

void StateStream::OnIdentitiesChanged() {
  if (!std::exchange(ready_, context_.state.ready())) {
    WaitAtMost(IdentitySet::kPatience);
  }
  if (!EndIfDead()) {
    Push(/*admitted=*/false);
  }
}

void StateStream::OnCallerGone(const absl::Status& why) { End(why); }

bool StateStream::EndIfDead() {
  const bool dead = !call_.peer().process.Alive();
  if (dead) {
    End(Unavailable("the caller has exited"));
  }
  return dead;
}

void StateStream::Push(bool admitted) {
  if (!ready_) {
    return;
  }
  Answer answer = Look(*identities_);
  if (answer.refused) {
    End(Refusal(*identities_));
    return;
  }
  if (answer.empty && sent_ == nullptr) {
    answer.frame = nullptr;
  }
  const bool good_enough = sent_ == nullptr || answer.withdrawals == sent_withdrawals_;
  if (answer.frame != nullptr && answer.frame != sent_ && answer.partial && !waited_ &&
      good_enough) {
    if (wait_timer_ == 0) {
      WaitAtMost(IdentitySet::kPatience);
    }
    return;
  }
  if (answer.frame == nullptr) {
    if (sent_ == nullptr && waited_) {
      End(Unavailable("no SVID could be had from the upstream in time"));
    }
    return;
  }
  if (answer.frame != sent_ && !admitted) {
    AdmitAgain();
    return;
  }
  context_.loop.Cancel(std::exchange(wait_timer_, 0));
  waited_ = waited_ && answer.partial;
  sent_withdrawals_ = answer.withdrawals;
  if (answer.frame != sent_) {
    if (absl::Status declared = Declare(*identities_); !declared.ok()) {
      End(declared);
      return;
    }
    sent_ = std::move(answer.frame);
    call_.Send(sent_);
  }
}

absl::Status StateStream::Refusal(IdentitySet& identities) {
  return RefuseForLackOfIdentity(context_, call_, name(), identities);
}

void StateStream::LookAgain() {
  if (observing_) {
    OnIdentitiesChanged();
  }
}

void StateStream::End(const absl::Status& status) {
  context_.loop.Cancel(std::exchange(wait_timer_, 0));
  if (std::exchange(observing_, false)) {
    identities_->Forget(*this);
    context_.gate.Forget(call_, *this);
  }
  call_.Finish(status);
}

}  // namespace assay
