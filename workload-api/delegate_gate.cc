// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegate_gate.h"

#include <utility>

namespace assay {
namespace {

absl::Status AttestationFailed() { return Unavailable("workload attestation failed"); }

}  // namespace

DelegateGate::~DelegateGate() {
  *alive_ = false;
  context_.call.loop.Cancel(state_timer_);
  context_.delegates.Forget(*this);
  if (caller_ != nullptr) {
    caller_->Forget(*this);
  }
}

void DelegateGate::Admit(rpc::Call& /*call*/, Admitted admitted) {
  admitted_ = std::move(admitted);
  AskCallers();
}

void DelegateGate::AskCallers() {
  context_.call.gate.Admit(call_, [this, alive = alive_](auto caller) {
    if (*alive) {
      OnCaller(std::move(caller));
    }
  });
}

void DelegateGate::OnCaller(absl::StatusOr<std::shared_ptr<IdentitySet>> caller) {
  if (admitted_ == nullptr) {
    return;  // The process asked for has ended meanwhile.
  }
  if (!caller.ok()) {
    Log("Workload attestation failed", caller.status());
    Answer(caller.status());
    return;
  }
  Follow(*std::move(caller));
  if (!context_.call.state.ready()) {
    WaitForState();
    return;
  }
  const absl::StatusOr<std::string> delegate = FindDelegate();
  const absl::Status admissible = delegate.ok() ? TakeShare(*delegate) : delegate.status();
  if (admissible.ok()) {
    AdmitSubject();
  } else {
    Answer(admissible);
  }
}

// Before the first state nobody is known, not even as no delegate.
void DelegateGate::WaitForState() {
  waits_for_state_ = true;
  if (state_timer_ == 0) {
    state_timer_ = context_.call.loop.After(
        context_.call.first_state_deadline - context_.call.clock.SinceBoot(), [this] {
          state_timer_ = 0;
          waits_for_state_ = false;
          Answer(Unavailable("the agent has not synchronised with its upstream yet"));
        });
  }
}

void DelegateGate::Follow(std::shared_ptr<IdentitySet> caller) {
  if (caller == caller_) {
    return;
  }
  if (caller_ != nullptr) {
    caller_->Forget(*this);
  }
  caller_ = std::move(caller);
  caller_->Observe(*this);
  context_.delegates.Observe(*this);
}

absl::StatusOr<std::string> DelegateGate::FindDelegate() {
  const EntryIndex& entries = context_.call.state.entries();
  const std::vector<EntryIndex::Slot>& matching = caller_->granted();
  for (const EntryIndex::Slot slot : matching) {
    if (const std::string_view id = entries.Get(slot).spiffe_id;
        context_.delegates.IsAuthorized(id)) {
      return std::string(id);
    }
  }
  const rpc::ProcessPeer& process = call_.peer().process;
  if (matching.empty()) {
    const absl::Status why = NoIdentityIssued(context_.call, call_, method_, *caller_);
    Log("No identity issued", why);
    context_.call.on_refused();
    return why;
  }
  if (context_.call.refusals.MayWrite(process.uid)) {
    log::Error("Permission denied; caller not configured as an authorized delegate.",
               {{"default_id", entries.Get(matching.front()).spiffe_id},
                {"method", method_},
                {"num_registered_entries", matching.size()},
                {"pid", process.pid},
                {"service", context_.call.service},
                {"subsystem_name", context_.call.subsystem}});
  }
  return PermissionDenied("caller not configured as an authorized delegate");
}

absl::Status DelegateGate::TakeShare(const std::string& delegate) {
  if (subject_.has_value() && !subject_->ok()) {
    Log("Invalid argument", subject_->status());
    return subject_->status();
  }
  if (share_ == nullptr) {
    auto share = context_.delegates.Take(delegate);
    if (!share.ok()) {
      Log("Delegate has too many calls open", share.status());
      return share.status();
    }
    share_ = *std::move(share);
  }
  return absl::OkStatus();
}

void DelegateGate::AdmitSubject() {
  if (!subject_.has_value()) {
    Answer(caller_);
  } else if (found_ != nullptr) {
    Answer(std::exchange(found_, nullptr));
  } else if ((*subject_)->pid != 0) {
    AttestProcess();
  } else {
    Answer(context_.sets.Get((*subject_)->selectors, IdentitySet::For::kDelegate));
  }
}

void DelegateGate::AttestProcess() {
  if (process_ended_) {
    OnAttested(NotFound("it has ended"));
    return;
  }
  if (process_ == nullptr) {
    auto process = context_.processes.Open((*subject_)->pid, call_.peer().process.uid,
                                           [this] { OnProcessEnded(); });
    if (!process.ok()) {
      OnAttested(process.status());
      return;
    }
    process_ = *std::move(process);
  }
  process_->Attest([this](auto selectors) { OnAttested(std::move(selectors)); });
}

void DelegateGate::OnAttested(absl::StatusOr<std::vector<Selector>> selectors) {
  if (selectors.ok()) {
    process_attested_ = true;
    found_ = context_.sets.Get(*std::move(selectors), IdentitySet::For::kDelegate);
    // That took a while, in which the caller may have become another.
    AskCallers();
    return;
  }
  Log("Workload attestation failed", selectors.status());
  // Another process may have its number by now: the delegate must not ask again by that alone.
  Answer(process_attested_ && absl::IsNotFound(selectors.status())
             ? NotFound("process {} has ended", (*subject_)->pid)
             : AttestationFailed());
}

void DelegateGate::OnProcessEnded() {
  process_ended_ = true;
  process_.reset();
  found_.reset();
  if (admitted_ != nullptr) {
    OnAttested(NotFound("it has ended"));
  }
  if (observer_ != nullptr) {
    observer_->OnCallerGone(NotFound("process {} has ended", (*subject_)->pid));
  }
}

void DelegateGate::Observe(rpc::Call& call, CallerObserver& observer) {
  observer_ = &observer;
  context_.call.gate.Observe(call, observer);
}

void DelegateGate::Forget(rpc::Call& call, CallerObserver& observer) {
  observer_ = nullptr;
  context_.call.gate.Forget(call, observer);
}

AuditedCaller DelegateGate::Audited(rpc::Call& call) {
  AuditedCaller caller = context_.call.gate.Audited(call);
  if (subject_.has_value() && subject_->ok()) {
    caller.asks_for = (*subject_)->pid;
  }
  return caller;
}

absl::Status DelegateGate::Check() {
  return caller_ == nullptr ? Internal("the caller was not admitted") : FindDelegate().status();
}

void DelegateGate::OnIdentitiesChanged() {
  if (!waits_for_state_) {
    EndUnlessDelegate();
    return;
  }
  if (context_.call.state.ready()) {
    waits_for_state_ = false;
    context_.call.loop.Cancel(std::exchange(state_timer_, 0));
    // Not within this call, in which the identities tell all their observers.
    context_.call.loop.Post([this, alive = alive_] {
      if (*alive) {
        AskCallers();
      }
    });
  }
}

void DelegateGate::OnDelegatesChanged() { EndUnlessDelegate(); }

void DelegateGate::EndUnlessDelegate() {
  if (observer_ == nullptr || !context_.call.state.ready()) {
    return;
  }
  if (const absl::Status status = Check(); !status.ok()) {
    observer_->OnCallerGone(status);
  }
}

void DelegateGate::Answer(absl::StatusOr<std::shared_ptr<IdentitySet>> identities) {
  if (const Admitted admitted = std::exchange(admitted_, nullptr); admitted != nullptr) {
    admitted(std::move(identities));
  }
}

void DelegateGate::Log(std::string_view what, const absl::Status& why) {
  const rpc::ProcessPeer& process = call_.peer().process;
  if (!context_.call.refusals.MayWrite(process.uid)) {
    return;
  }
  const std::string shown = caller_ == nullptr ? "" : context_.call.shown.Of(caller_->selectors());
  log::Error(what, {{"error", why},
                    {"method", method_},
                    {"pid", process.pid},
                    {shown.empty() ? "" : "delegate_selectors", shown},
                    {"service", context_.call.service},
                    {"subsystem_name", context_.call.subsystem}});
}

}  // namespace assay
