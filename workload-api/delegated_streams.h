// SPDX-License-Identifier: GPL-3.0-or-later
// The streams of the Delegated Identity API. Each looks before every message whether its caller is
// a delegate still. Owned by the event loop's thread.
#pragma once

#include <functional>
#include <string_view>

#include "rpc/call.h"
#include "workload-api/call_context.h"
#include "workload-api/delegate_gate.h"
#include "workload-api/delegated_bundles.h"
#include "workload-api/state_stream.h"

namespace assay {

// SubscribeToX509SVIDs: who has no identities has an empty answer.
class DelegatedSvidStream final : public StateStream {
 public:
  static constexpr std::string_view kName = "SubscribeToX509SVIDs";

  // The context's gate is this one, which must outlive the stream.
  DelegatedSvidStream(rpc::Call& call, const CallContext& context, DelegateGate& gate)
      : StateStream(call, context), asked_(call), on_refused_(context.on_refused), gate_(gate) {}

 protected:
  absl::Status Take(std::string_view request) override;
  Answer Look(IdentitySet& identities) override;
  absl::Status Declare(IdentitySet& identities) override;
  absl::Status Refusal(IdentitySet& /*identities*/) override { return refusal_; }
  std::string_view name() const override { return kName; }

 private:
  rpc::Call& asked_;
  const std::function<void()>& on_refused_;
  DelegateGate& gate_;
  absl::Status refusal_;
};

// SubscribeToX509Bundles and SubscribeToJWTBundles.
class DelegatedBundleStream final : public StateStream, private DelegatedBundlesObserver {
 public:
  struct Method {
    std::string_view name;
    rpc::SharedFrame (DelegatedBundles::*answer)();
  };
  static constexpr Method kX509 = {"SubscribeToX509Bundles", &DelegatedBundles::x509};
  static constexpr Method kJwt = {"SubscribeToJWTBundles", &DelegatedBundles::jwt};

  // As DelegatedSvidStream; the bundles must outlive it too.
  struct Parts {
    DelegateGate& gate;
    DelegatedBundles& bundles;
    const Method& method;
  };
  DelegatedBundleStream(rpc::Call& call, const CallContext& context, const Parts& parts)
      : StateStream(call, context), parts_(parts) {
    parts_.bundles.Observe(*this);
  }
  ~DelegatedBundleStream() override { parts_.bundles.Forget(*this); }

 protected:
  Answer Look(IdentitySet& identities) override;
  absl::Status Refusal(IdentitySet& /*identities*/) override { return refusal_; }
  std::string_view name() const override { return parts_.method.name; }

 private:
  void OnBundlesChanged() override { LookAgain(); }

  const Parts parts_;
  absl::Status refusal_;
};

}  // namespace assay
