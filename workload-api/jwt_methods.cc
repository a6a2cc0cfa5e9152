// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_methods.h"

#include <memory>
#include <string_view>

#include "crypto/curve_tables.h"
#include "workload-api/fetch_jwt_svid.h"
#include "workload-api/state_stream.h"

namespace assay {
namespace {

class FetchJwtBundles final : public StateStream {
 public:
  FetchJwtBundles(rpc::Call& call, const CallContext& context, bool allow_unauthenticated_verifiers)
      : StateStream(call, context),
        allow_unauthenticated_verifiers_(allow_unauthenticated_verifiers) {}

 protected:
  Answer Look(IdentitySet& identities) override {
    return {.refused = identities.empty() && !allow_unauthenticated_verifiers_,
            .frame = identities.jwt_bundles()};
  }
  std::string_view name() const override { return "FetchJWTBundles"; }

 private:
  const bool allow_unauthenticated_verifiers_;
};

}  // namespace

void JwtMethods::AddTo(rpc::Registry& registry, const CallContext& context,
                       const bool& allow_unauthenticated_verifiers) {
  const std::string service = "/SpiffeWorkloadAPI/";
  registry.Add(service + "FetchJWTBundles",
               [context, &allow = allow_unauthenticated_verifiers](rpc::Call& call) {
                 return std::make_unique<FetchJwtBundles>(call, context, allow);
               });
  registry.Add(service + "FetchJWTSVID", [this, context](rpc::Call& call) {
    return std::make_unique<FetchJwtSvid>(call, context, tokens_);
  });
  registry.Add(service + "ValidateJWTSVID", [this, context](rpc::Call& call) {
    TidyLater();
    return std::make_unique<ValidateJwtSvid>(call, context,
                                             ValidateJwtSvid::Parts{options_, validator_, turns_});
  });
}

void JwtMethods::TidyLater() {
  if (tidy_timer_ == 0) {
    tidy_timer_ = loop_.After(kTidyDelay, [this] {
      tidy_timer_ = 0;
      crypto::FreeCurveTables();
    });
  }
}

}  // namespace assay
