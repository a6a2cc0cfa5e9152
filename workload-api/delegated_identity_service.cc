// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegated_identity_service.h"

#include <memory>
#include <string_view>
#include <utility>

#include "workload-api/delegated_jwt_svids.h"
#include "workload-api/delegated_streams.h"
#include "workload-api/workload_service.h"

namespace assay {
namespace {

constexpr std::string_view kService = "/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/";

// One call: what serves it, behind a gate of its own.
class DelegatedCall final : public rpc::CallHandler {
 public:
  // Makes what serves the call; the context has the gate.
  using Make = std::function<std::unique_ptr<rpc::CallHandler>(
      rpc::Call& call, const CallContext& context, DelegateGate& gate)>;

  DelegatedCall(rpc::Call& call, const DelegateContext& context, std::string_view method,
                const Make& make)
      : gate_(call, context, method), served_(make(call, Behind(context.call), gate_)) {}

  void OnMessage(std::string_view bytes) override { served_->OnMessage(bytes); }
  void OnHalfClose() override { served_->OnHalfClose(); }

 private:
  CallContext Behind(const CallContext& context) {
    return {.service = context.service,
            .subsystem = context.subsystem,
            .loop = context.loop,
            .clock = context.clock,
            .state = context.state,
            .gate = gate_,
            .first_state_deadline = context.first_state_deadline,
            .on_refused = context.on_refused,
            .refusals = context.refusals,
            .shown = context.shown,
            .last_refusals = context.last_refusals,
            .gate_logs = true,
            .audit = context.audit};
  }

  DelegateGate gate_;
  const std::unique_ptr<rpc::CallHandler> served_;  // Goes first, for it uses the gate.
};

}  // namespace

DelegatedIdentityService::DelegatedIdentityService(const Context& context,
                                                   std::function<void()> on_refused)
    : context_(context),
      first_state_deadline_(context.clock.SinceBoot() + WorkloadService::kFirstStateGrace),
      on_refused_(std::move(on_refused)),
      refusals_(context.loop, "uid"),
      bundles_(context.state) {}

void DelegatedIdentityService::Refresh() {
  // The sets tell of answers that have changed; a delegate needs no SVID to be one.
  const uint64_t version = context_.state.entries_version();
  if (std::exchange(entries_version_, version) != version) {
    delegates_.Recheck();
  }
  bundles_.Refresh();
}

void DelegatedIdentityService::AddTo(rpc::Registry& registry) {
  const DelegateContext context{.call = {.service = "DelegatedIdentity",
                                         .subsystem = "delegated_identity_api",
                                         .loop = context_.loop,
                                         .clock = context_.clock,
                                         .state = context_.state,
                                         .gate = context_.callers,
                                         .first_state_deadline = first_state_deadline_,
                                         .on_refused = on_refused_,
                                         .refusals = refusals_,
                                         .shown = shown_,
                                         .last_refusals = context_.last_refusals,
                                         .audit = context_.audit},
                                .sets = context_.sets,
                                .processes = context_.processes,
                                .delegates = delegates_};
  const auto add = [&](std::string_view method, DelegatedCall::Make make) {
    registry.Add(std::string(kService) + std::string(method),
                 [context, method, make = std::move(make)](rpc::Call& call) {
                   return std::make_unique<DelegatedCall>(call, context, method, make);
                 });
  };
  add(DelegatedSvidStream::kName,
      [](rpc::Call& call, const CallContext& behind, DelegateGate& gate) {
        return std::make_unique<DelegatedSvidStream>(call, behind, gate);
      });
  for (const auto* method : {&DelegatedBundleStream::kX509, &DelegatedBundleStream::kJwt}) {
    add(method->name,
        [this, method](rpc::Call& call, const CallContext& behind, DelegateGate& gate) {
          return std::make_unique<DelegatedBundleStream>(
              call, behind, DelegatedBundleStream::Parts{gate, bundles_, *method});
        });
  }
  add(DelegatedJwtSvids::kName,
      [this](rpc::Call& call, const CallContext& behind, DelegateGate& gate) {
        return std::make_unique<DelegatedJwtSvids>(
            call, behind, DelegatedJwtSvids::Parts{gate, context_.jwt_tokens});
      });
}

}  // namespace assay
