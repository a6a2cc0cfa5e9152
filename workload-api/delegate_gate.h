// SPDX-License-Identifier: GPL-3.0-or-later
// Through which one call of the Delegated Identity API passes: it admits a caller one of whose
// identities is an authorized delegate's, with the identities of whom it asks for. It ends the call
// when the caller is no delegate any more, and when the process asked for ends. Owned by the event
// loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "spiffe/selector.h"
#include "workload-api/call_context.h"
#include "workload-api/caller_gate.h"
#include "workload-api/delegated_request.h"
#include "workload-api/delegates.h"
#include "workload-api/identity_set.h"
#include "workload-api/referred_process.h"

namespace assay {

// What all calls of the API share. Its parts must outlive them.
struct DelegateContext {
  CallContext call;  // Its gate is the callers'.
  IdentitySets& sets;
  ReferredProcesses& processes;
  Delegates& delegates;
};

class DelegateGate final : public CallerGate, private IdentityObserver, private DelegateObserver {
 public:
  // The method as the log has it. The call must outlive the gate.
  DelegateGate(rpc::Call& call, const DelegateContext& context, std::string_view method)
      : call_(call), context_(context), method_(method) {}
  ~DelegateGate() override;
  DelegateGate(const DelegateGate&) = delete;
  DelegateGate& operator=(const DelegateGate&) = delete;

  // Before the call is admitted; else it is for nobody, and admitted with the delegate's own
  // identities. What is wrong with it none but a delegate is told.
  void AskFor(absl::StatusOr<DelegatedSubject> subject) { subject_ = std::move(subject); }

  // One at a time. PermissionDenied when the caller has no identity, or none of a delegate;
  // as AskFor got it when that is an error; Unavailable when somebody could not be attested,
  // NotFound when a process that was has ended since.
  void Admit(rpc::Call& call, Admitted admitted) override;
  void Observe(rpc::Call& call, CallerObserver& observer) override;
  void Forget(rpc::Call& call, CallerObserver& observer) override;
  AuditedCaller Audited(rpc::Call& call) override;
  AttestorRuns LastRuns(rpc::Call& /*call*/) override {
    return process_ == nullptr ? AttestorRuns() : process_->LastRuns();
  }

  // Whether the caller, which was admitted, is a delegate now. What is wrong is told to the log.
  absl::Status Check();

 private:
  void OnIdentitiesChanged() override;
  void OnDelegatesChanged() override;
  void AskCallers();
  void OnCaller(absl::StatusOr<std::shared_ptr<IdentitySet>> caller);
  void WaitForState();
  void Follow(std::shared_ptr<IdentitySet> caller);
  // The SPIFFE ID by which the caller is a delegate.
  absl::StatusOr<std::string> FindDelegate();
  // Whether the call may go on for whom it asks.
  absl::Status TakeShare(const std::string& delegate);
  void AdmitSubject();
  void AttestProcess();
  void OnAttested(absl::StatusOr<std::vector<Selector>> selectors);
  void OnProcessEnded();
  void EndUnlessDelegate();
  void Answer(absl::StatusOr<std::shared_ptr<IdentitySet>> identities);
  void Log(std::string_view what, const absl::Status& why);

  rpc::Call& call_;
  const DelegateContext context_;
  const std::string_view method_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::optional<absl::StatusOr<DelegatedSubject>> subject_;
  Admitted admitted_;                    // Null: nobody waits.
  std::shared_ptr<IdentitySet> caller_;  // Observed.
  CallerObserver* observer_ = nullptr;
  std::unique_ptr<Delegates::Share> share_;
  std::unique_ptr<ReferredProcess> process_;
  std::shared_ptr<IdentitySet> found_;  // The process's, until the caller has been asked again.
  bool process_attested_ = false;       // Once.
  bool process_ended_ = false;
  bool waits_for_state_ = false;
  EventLoop::TimerId state_timer_ = 0;
};

}  // namespace assay
