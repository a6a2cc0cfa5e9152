// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/bundle_service.h"

#include <algorithm>

#include "authority/bundle_changes.h"
#include "authority/bundle_convert.h"
#include "authority/id_convert.h"
#include "authority/method.h"
#include "spire/api/server/bundle/v1/bundle.pb.h"

namespace assay {

namespace bundle = spire::api::server::bundle::v1;
namespace types = spire::api::types;

namespace {

void Count(State& state, const bundle::CountBundlesRequest& /*request*/,
           const rpc::Responder& responder) {
  bundle::CountBundlesResponse response;
  response.set_count(static_cast<int>(state.bundles.all().size()));
  responder.Reply(response);
}

void Get(State& state, const bundle::GetBundleRequest& request, const rpc::Responder& responder) {
  types::Bundle response;
  ToProto(state.OwnBundle(), request.has_output_mask() ? request.output_mask() : AllOfBundle(),
          &response);
  responder.Reply(response);
}

void GetFederated(State& state, const bundle::GetFederatedBundleRequest& request,
                  const rpc::Responder& responder) {
  const absl::StatusOr<TrustDomain> trust_domain = ParseTrustDomain(request.trust_domain());
  if (!trust_domain.ok()) {
    responder.Fail(ApiError(absl::StatusCode::kInvalidArgument,
                            "trust domain argument is not valid", trust_domain.status()));
    return;
  }
  if (*trust_domain == state.options.trust_domain) {
    responder.Fail(InvalidArgument(
        "getting a federated bundle for the server's own trust domain is not allowed"));
    return;
  }
  const TrustBundle* found = state.bundles.Find(*trust_domain);
  if (found == nullptr) {
    responder.Fail(NotFound("bundle not found"));
    return;
  }
  types::Bundle response;
  ToProto(*found, request.has_output_mask() ? request.output_mask() : AllOfBundle(), &response);
  responder.Reply(response);
}

void ListFederated(State& state, const bundle::ListFederatedBundlesRequest& request,
                   const rpc::Responder& responder) {
  const auto& mask = request.has_output_mask() ? request.output_mask() : AllOfBundle();
  bundle::ListFederatedBundlesResponse response;
  for (const auto& [trust_domain, found] : state.bundles.all()) {
    if (trust_domain == state.options.trust_domain || trust_domain.name() <= request.page_token()) {
      continue;
    }
    if (request.page_size() > 0 && response.bundles_size() == request.page_size()) {
      response.set_next_page_token(response.bundles(response.bundles_size() - 1).trust_domain());
      break;
    }
    ToProto(found, mask, response.add_bundles());
  }
  responder.Reply(response);
}

}  // namespace

void AddBundleMethods(State& state, Gate& gate, rpc::Registry& registry) {
  const auto add = [&](std::string_view name, const Rule& rule, rpc::MakeHandler make) {
    gate.Add(registry, fmt::format("/spire.api.server.bundle.v1.Bundle/{}", name), rule,
             std::move(make));
  };
  add("CountBundles", OperatorsOnly(), Method<bundle::CountBundlesRequest>(state, Count));
  add("GetBundle", {.access = Access::kAnyone}, Method<bundle::GetBundleRequest>(state, Get));
  add("GetFederatedBundle", {.access = Access::kAgentOrOperator},
      Method<bundle::GetFederatedBundleRequest>(state, GetFederated));
  add("ListFederatedBundles", OperatorsOnly(),
      Method<bundle::ListFederatedBundlesRequest>(state, ListFederated));
  add("AppendBundle", OperatorsOnly(), Method<bundle::AppendBundleRequest>(state, AppendBundle));
  add("BatchCreateFederatedBundle", OperatorsOnly(),
      Method<bundle::BatchCreateFederatedBundleRequest>(state, CreateFederatedBundles));
  add("BatchUpdateFederatedBundle", OperatorsOnly(),
      Method<bundle::BatchUpdateFederatedBundleRequest>(state, UpdateFederatedBundles));
  add("BatchSetFederatedBundle", OperatorsOnly(),
      Method<bundle::BatchSetFederatedBundleRequest>(state, SetFederatedBundles));
  add("BatchDeleteFederatedBundle", OperatorsOnly(),
      Method<bundle::BatchDeleteFederatedBundleRequest>(state, DeleteFederatedBundles));
}

}  // namespace assay
