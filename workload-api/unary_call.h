// SPDX-License-Identifier: GPL-3.0-or-later
// A unary call of the Workload API: its caller is admitted, and it is answered as soon as what it
// needs is known, or ends when the caller, its process or its patience does. Who had to wait is
// admitted anew before the answer.
#pragma once

#include <absl/time/time.h>
#include <google/protobuf/message_lite.h>

#include <memory>
#include <string_view>

#include "rpc/call.h"
#include "workload-api/call_context.h"

namespace assay {

class UnaryCall : public rpc::UnaryHandler, public IdentityObserver, public CallerObserver {
 public:
  UnaryCall(rpc::Call& call, const CallContext& context)
      : rpc::UnaryHandler(call), context_(context) {}
  ~UnaryCall() override;

  void OnIdentitiesChanged() override { LookAgain(); }
  void OnCallerGone(const absl::Status& why) override { Fail(why); }

 protected:
  // Takes of the request what is of use. InvalidArgument when it makes no sense; nothing else was
  // looked at by then.
  virtual bool Parse(std::string_view bytes) = 0;
  virtual absl::Status Check() = 0;
  // What it keeps of the request while it waits.
  virtual size_t kept_bytes() const = 0;
  // Answers, or does nothing: then it is asked again whenever the identities have changed.
  virtual void Look(IdentitySet& identities) = 0;
  // After so long without an answer.
  virtual void OnPatienceEnded() { Fail(Unavailable("the agent could not answer in time")); }
  // "ValidateJWTSVID", as the log calls it.
  virtual std::string_view name() const = 0;

  // Looks again, now that there is something new.
  void LookAgain();
  // In Look, before an answer: whether the caller has been looked at in the same breath. If not,
  // the answer must wait: that is done now, and then there is another Look.
  bool MayReply();
  // Charges to the caller that so much is kept while the call waits; the call ends when that is too
  // much.
  void Charge(size_t bytes);
  // Either ends the call, and nothing more is looked at.
  void Reply(const google::protobuf::MessageLite& message);
  void Fail(const absl::Status& why);
  // In Check: tells the log, in these words, that the request makes no sense, and returns why.
  absl::Status Refused(std::string_view words, const absl::Status& why);

  bool ended() const { return ended_; }
  const CallContext& context() const { return context_; }
  rpc::Call& call() { return call_; }

 private:
  bool Serve(std::string_view bytes, rpc::Responder responder) final;
  void Admit();
  void OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities);
  void WaitAtMost(absl::Duration time);
  void End();

  const CallContext context_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<IdentitySet> identities_;
  EventLoop::TimerId wait_timer_ = 0;
  bool ready_ = false;  // The state was, when it was last looked at.
  bool ended_ = false;
  bool observing_ = false;
  bool admitting_ = false;
  bool admitted_ = false;  // Just now.
};

}  // namespace assay
