// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_service.h"

#include <utility>

#include "envoy/service/secret/v3/sds.pb.h"
#include "workload-api/sds_methods.h"

namespace assay {

SdsService::SdsService(const CallContext& calls, std::string trust_domain, SdsOptions options)
    : resources_({calls.state, calls.clock, std::move(trust_domain)}, std::move(options)),
      turns_(calls.loop),
      nacks_(calls.loop, "answers_refused_by_uid"),
      context_{.calls = calls,
               .resources = resources_,
               .turns = turns_,
               .nacks = nacks_,
               .open = open_} {}

void SdsService::SetAllowUnauthenticatedVerifiers(bool allow) {
  resources_.SetAllowUnauthenticatedVerifiers(allow);
  for (SdsCall* call : open_) {
    call->OnOfferChanged();
  }
}

void SdsService::AddTo(rpc::Registry& registry) {
  // By its descriptor, which is so linked in for those who ask by reflection.
  const std::string service = envoy::service::secret::v3::SdsDummy::descriptor()
                                  ->file()
                                  ->FindServiceByName("SecretDiscoveryService")
                                  ->full_name();
  const auto add = [&](std::string_view method, auto make) {
    registry.Add(fmt::format("/{}/{}", service, method),
                 [this, make](rpc::Call& call) { return make(call, context_); });
  };
  add("StreamSecrets", MakeStreamSecrets);
  add("DeltaSecrets", MakeDeltaSecrets);
  add("FetchSecrets", MakeFetchSecrets);
}

}  // namespace assay
