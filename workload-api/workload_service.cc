// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/workload_service.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workload-api/audit.h"
#include "workload-api/state_stream.h"

namespace assay {
namespace {

constexpr std::string_view kService = "/SpiffeWorkloadAPI/";

class FetchX509Svid final : public StateStream {
 public:
  using StateStream::StateStream;

 protected:
  Answer Look(IdentitySet& identities) override {
    if (identities.empty()) {
      return {.refused = true};
    }
    identities.Want();
    return {.frame = identities.x509_svids(),
            .partial = !identities.complete() && !identities.overdue(),
            .withdrawals = identities.withdrawals()};
  }
  absl::Status Declare(IdentitySet& identities) override {
    return DeclareX509Svids(context(), call(), name(), identities);
  }
  std::string_view name() const override { return "FetchX509SVID"; }
};

class FetchX509Bundles final : public StateStream {
 public:
  FetchX509Bundles(rpc::Call& call, const Context& context, bool allow_unauthenticated_verifiers)
      : StateStream(call, context),
        allow_unauthenticated_verifiers_(allow_unauthenticated_verifiers) {}

 protected:
  Answer Look(IdentitySet& identities) override {
    return {.refused = identities.empty() && !allow_unauthenticated_verifiers_,
            .frame = identities.x509_bundles()};
  }
  std::string_view name() const override { return "FetchX509Bundles"; }

 private:
  const bool allow_unauthenticated_verifiers_;
};

class UnimplementedMethod final : public rpc::CallHandler {
 public:
  UnimplementedMethod(rpc::Call& call, std::string_view why) : call_(call), why_(why) {}
  void OnMessage(std::string_view /*bytes*/) override { OnHalfClose(); }
  void OnHalfClose() override { call_.Finish(MakeStatus(absl::StatusCode::kUnimplemented, why_)); }

 private:
  rpc::Call& call_;
  const std::string_view why_;
};

void AddUnimplemented(rpc::Registry& registry, std::string_view method, std::string_view why) {
  registry.Add(std::string(kService) + std::string(method),
               [why](rpc::Call& call) { return std::make_unique<UnimplementedMethod>(call, why); });
}

}  // namespace

WorkloadService::WorkloadService(const Context& context, Options options)
    : context_(context),
      first_state_deadline_(context.clock.SinceBoot() + kFirstStateGrace),
      options_(std::move(options)),
      refusals_(context.loop, "uid"),
      last_refusals_(context.clock),
      jwt_(context.loop, options_.jwt, context.jwt_tokens) {}

CallContext WorkloadService::CallsOf(std::string_view service) {
  return {.service = service,
          .loop = context_.loop,
          .clock = context_.clock,
          .state = context_.state,
          .gate = context_.gate,
          .first_state_deadline = first_state_deadline_,
          .on_refused = options_.on_refused,
          .refusals = refusals_,
          .shown = shown_,
          .last_refusals = last_refusals_,
          .audit = context_.audit};
}

void WorkloadService::AddTo(rpc::Registry& registry) {
  const CallContext context = CallsOf("WorkloadAPI");
  registry.Add(std::string(kService) + "FetchX509SVID", [context](rpc::Call& call) {
    return std::make_unique<FetchX509Svid>(call, context);
  });
  registry.Add(std::string(kService) + "FetchX509Bundles", [this, context](rpc::Call& call) {
    return std::make_unique<FetchX509Bundles>(call, context,
                                              options_.allow_unauthenticated_verifiers);
  });
  jwt_.AddTo(registry, context, options_.allow_unauthenticated_verifiers);
  AddUnimplemented(registry, "FetchWITSVID", "fetching WIT-SVIDs is not implemented");
  AddUnimplemented(registry, "FetchWITBundles", "fetching WIT bundles is not implemented");
}

absl::Status WorkloadService::CheckSecurityHeader(const rpc::Call& call) {
  if (!call.method().starts_with(kService)) {
    return absl::OkStatus();
  }
  const std::vector<std::string_view> values = call.Metadata("workload.spiffe.io");
  if (values.size() != 1 || values[0] != "true") {
    return InvalidArgument("security header missing from request");
  }
  return absl::OkStatus();
}

}  // namespace assay
