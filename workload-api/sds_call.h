// SPDX-License-Identifier: GPL-3.0-or-later
// A call of SDS: whose caller is admitted before it is told anything, and again before each further
// message, and which looks at what is asked for whenever a request or the caller's identities
// change. What to tell is its method's.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/refusal_log.h"
#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/caller_gate.h"
#include "workload-api/identity_set.h"
#include "workload-api/name_budget.h"
#include "workload-api/sds_resources.h"
#include "workload-api/sds_subscription.h"
#include "workload-api/served_state.h"
#include "workload-api/shown_selectors.h"

namespace google::rpc {
class Status;
}  // namespace google::rpc

namespace assay {

class SdsCall : public rpc::CallHandler, public IdentityObserver, public CallerObserver {
 public:
  struct Context {
    EventLoop& loop;
    const Clock& clock;
    const ServedState& state;
    CallerGate& gate;
    SdsResources& resources;
    // By clock's SinceBoot(): until then calls that answer once wait for the first state.
    absl::Duration first_state_deadline;
    // What a caller asked for is not there: an entry for it may await upstream.
    const std::function<void()>& on_refused;
    RefusalLog<uid_t>& refusals;
    const ShownSelectors& shown;
    NameBudget& names;
  };

  SdsCall(rpc::Call& call, const Context& context);
  ~SdsCall() override;

  void OnMessage(std::string_view bytes) final;
  // Ends the call, after the answer that is under way.
  void OnHalfClose() override;
  void OnIdentitiesChanged() final;
  void OnCallerGone(const absl::Status& why) final;

 protected:
  // What there is of what is asked for.
  struct Found {
    std::map<std::string_view, SharedSdsResource> resources;  // By name.
    std::vector<std::string_view> missing;                    // Names asked for.
    // Of these, or of what was told when everything is asked for: what may be back at any moment,
    // for an SVID is being signed. It is not told as gone.
    std::set<std::string_view> awaited;
    bool has_identity = false;
    bool settled = false;  // No SVID is waited for, or no longer.
  };
  // What the client has of a resource; without the resource where another stream told it.
  struct Told {
    std::string version;
    SharedSdsResource resource;
  };

  // Takes a request into subscription_ and told_; an error ends the call.
  virtual absl::Status Take(std::string_view bytes) = 0;
  // Whether there is something to tell, and telling it, which puts it into told_ or ends the call.
  virtual bool HasNews(const Found& found) = 0;
  virtual void Tell(const Found& found) = 0;
  // Whether the call waits for what is missing as long as it lives.
  virtual bool waits() const { return true; }
  // "StreamSecrets", as the log calls it.
  virtual std::string_view name() const = 0;

  void TakeNode(const envoy::config::core::v3::Node& node);
  // The log line of a client that did not take an answer.
  void LogRefusal(const google::rpc::Status& why, std::string_view nonce);
  // PermissionDenied for a caller without an identity, which the log is told of.
  absl::Status NoIdentity();
  // Asks for what is missing to be looked for upstream; the log is told once a request.
  void NoteMissing(const Found& found);
  // To be called when another set of names is asked for.
  void OnOtherNames() { missing_noted_ = false; }
  // Whether the client has this very content.
  bool Has(const SdsResource& resource) const;
  void End(const absl::Status& status);

  rpc::Call& call_;
  const Context context_;
  SdsSubscription subscription_;
  SdsValidation validation_;
  std::map<std::string, Told, std::less<>> told_;

 private:
  // Admits the caller if there is something to tell it, or it was never admitted.
  void Consider();
  void NoteNoNews(const Found& found);
  void Admit();
  void OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities);
  void Follow(std::shared_ptr<IdentitySet> identities);
  Found Look();
  void FindEverything(Found& found);
  void FindAwaited(Found& found);
  void WantSvids(const Found& found);
  void WaitAtMost(absl::Duration time);
  void OnWaited();
  bool EndIfDead();
  // Whether the user's streams may keep what this one is asked for.
  bool Keep(size_t bytes);

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<IdentitySet> identities_;
  EventLoop::TimerId wait_timer_ = 0;
  size_t kept_bytes_ = 0;  // Of names, as the budget knows.
  bool ended_ = false;
  bool half_closed_ = false;
  bool ready_ = false;   // The state was, when it was last looked at.
  bool waited_ = false;  // As long as a caller waits for SVIDs.
  bool observing_ = false;
  bool admitting_ = false;
  bool missing_noted_ = false;
  uint64_t told_withdrawals_ = 0;  // As they were when told_ was right.
};

}  // namespace assay
