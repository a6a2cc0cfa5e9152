// SPDX-License-Identifier: GPL-3.0-or-later
// A call of SDS, whose caller is admitted before each message that it is told. When a request or
// the caller's identities have changed it looks, in its turn, at what there is of what is asked
// for, and if that is news has the caller admitted and tells it. What to tell is its method's.
// Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/event_loop.h"
#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/call_context.h"
#include "workload-api/request_pace.h"
#include "workload-api/sds_resources.h"
#include "workload-api/sds_subscription.h"
#include "workload-api/turns.h"

namespace google::rpc {
class Status;
}  // namespace google::rpc

namespace assay {

class SdsCall : public rpc::CallHandler,
                public IdentityObserver,
                public CallerObserver,
                public TurnTaker {
 public:
  struct Context {
    CallContext calls;
    SdsResources& resources;
    Turns& turns;
    RefusalLog<uid_t>& nacks;            // Of lines about answers that proxies refuse.
    std::unordered_set<SdsCall*>& open;  // Calls put themselves into it.
  };

  // The context must outlive the call.
  SdsCall(rpc::Call& call, const Context& context);
  ~SdsCall() override;

  void OnMessage(std::string_view bytes) final;
  // Ends the call, after the answer that is under way.
  void OnHalfClose() override;
  void OnIdentitiesChanged() final { Consider(); }
  // What there is may be another, though its identities and the state are the same.
  void OnOfferChanged();
  void OnCallerGone(const absl::Status& why) final { End(why); }
  size_t OnTurn() final;

 protected:
  // What there is of what is asked for. It holds names of the subscription and of what was told.
  struct Found {
    std::map<std::string_view, SharedSdsResource> resources;  // By name.
    std::vector<std::string_view> missing;                    // Names asked for.
    // Of these, or of what was told when everything is asked for: what may be back at any moment,
    // for an SVID is being signed. It is not told as gone.
    std::set<std::string_view> awaited;
    bool has_identity = false;
    bool settled = false;      // No SVID is waited for, or no longer.
    uint64_t withdrawals = 0;  // As they were.
    size_t cost = 0;           // Of having looked.
  };
  // What the client has of a resource; without the resource where another stream told it.
  struct Told {
    std::string version;
    SharedSdsResource resource;
  };

  // Takes a request into subscription_ and told_, at a cost that the request's length bounds: it is
  // not in turn. Whether it asks for something else than the one before; an error ends the call.
  virtual absl::StatusOr<bool> Take(std::string_view bytes) = 0;
  // Whether there is something to tell, and telling it, which puts it into told_ or ends the call.
  virtual bool HasNews(const Found& found) = 0;
  virtual void Tell(const Found& found) = 0;
  // Whether the call waits for what is missing as long as it lives.
  virtual bool waits() const { return true; }
  // "StreamSecrets", as the log calls it.
  virtual std::string_view name() const = 0;

  // Whether that is another way to validate.
  bool TakeNode(const envoy::config::core::v3::Node& node);
  // What is kept of a request besides the subscription.
  void KeepToo(size_t bytes) { kept_too_ = bytes; }
  // The log line of a client that did not take an answer.
  void LogRefusal(const google::rpc::Status& why, std::string_view nonce);
  // PermissionDenied for a caller without an identity, which the log is told of.
  absl::Status NoIdentity();
  // Asks for what is missing to be looked for upstream; the log is told once a request.
  void NoteMissing(const Found& found);
  // Why something is missing that the caller might have; empty: it is not known.
  std::string ReasonOf(const Found& found) const;
  // Tells the audit of the keys in what is about to be told. False: they may not be told, and the
  // call has ended.
  bool Declare(const std::vector<SharedSdsResource>& resources);
  // Whether the client has this very content.
  bool Has(const SdsResource& resource) const;
  void End(const absl::Status& status);

  rpc::Call& call_;
  const Context& context_;
  SdsSubscription subscription_;
  SdsValidation validation_;
  std::map<std::string, Told, std::less<>> told_;

 private:
  uid_t user() const { return call_.peer().process.uid; }
  // Has the call look in its turn, and forgets what it has seen.
  void Consider();
  void Admit();
  void OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities);
  // Whether they are others than before.
  bool Follow(std::shared_ptr<IdentitySet> identities);
  Found Look();
  void FindEverything(SdsResources::Offer& offer, Found& found);
  void FindAwaited(Found& found);
  bool WantsSvids() const;
  // Charges what the call keeps. False: there is no memory for it, and the call has ended.
  bool Keep();
  // There is nothing to tell, or no more.
  void Rest(const Found& found);
  void WaitForState();
  void WaitAtMost(absl::Duration time);
  void OnWaited();
  bool EndIfDead();

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<IdentitySet> identities_;
  std::unique_ptr<Found> news_;  // That is told as soon as the caller is admitted.
  RequestPace pace_;
  EventLoop::TimerId wait_timer_ = 0;
  size_t kept_too_ = 0;  // Besides what the subscription keeps.
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
