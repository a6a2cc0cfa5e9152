// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_service.h"

#include <utility>

#include "envoy/service/secret/v3/sds.pb.h"
#include "workload-api/sds_methods.h"
#include "workload-api/workload_service.h"

namespace assay {

SdsService::SdsService(const Context& context, Options options)
    : context_(context),
      first_state_deadline_(context.clock.SinceBoot() + WorkloadService::kFirstStateGrace),
      on_refused_(std::move(options.on_refused)),
      resources_({context.state, context.clock, std::move(options.trust_domain)},
                 std::move(options.names)),
      refusals_(context.loop, "uid") {}

void SdsService::AddTo(rpc::Registry& registry) {
  const SdsCall::Context context{.loop = context_.loop,
                                 .clock = context_.clock,
                                 .state = context_.state,
                                 .gate = context_.gate,
                                 .resources = resources_,
                                 .first_state_deadline = first_state_deadline_,
                                 .on_refused = on_refused_,
                                 .refusals = refusals_,
                                 .shown = shown_,
                                 .names = names_};
  // By its descriptor, which is so linked in for those who ask by reflection.
  const std::string service = envoy::service::secret::v3::SdsDummy::descriptor()
                                  ->file()
                                  ->FindServiceByName("SecretDiscoveryService")
                                  ->full_name();
  const auto add = [&](std::string_view method, auto make) {
    registry.Add(fmt::format("/{}/{}", service, method),
                 [context, make](rpc::Call& call) { return make(call, context); });
  };
  add("StreamSecrets", MakeStreamSecrets);
  add("DeltaSecrets", MakeDeltaSecrets);
  add("FetchSecrets", MakeFetchSecrets);
}

}  // namespace assay
