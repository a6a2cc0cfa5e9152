// SPDX-License-Identifier: GPL-3.0-or-later
// The methods of the Bundle service that change bundles.
#pragma once

#include "authority/state.h"
#include "rpc/call.h"

namespace spire::api::server::bundle::v1 {
class AppendBundleRequest;
class BatchCreateFederatedBundleRequest;
class BatchDeleteFederatedBundleRequest;
class BatchSetFederatedBundleRequest;
class BatchUpdateFederatedBundleRequest;
}  // namespace spire::api::server::bundle::v1

namespace assay {

void AppendBundle(State& state, const spire::api::server::bundle::v1::AppendBundleRequest& request,
                  const rpc::Responder& responder);
void CreateFederatedBundles(
    State& state, const spire::api::server::bundle::v1::BatchCreateFederatedBundleRequest& request,
    const rpc::Responder& responder);
void UpdateFederatedBundles(
    State& state, const spire::api::server::bundle::v1::BatchUpdateFederatedBundleRequest& request,
    const rpc::Responder& responder);
void SetFederatedBundles(
    State& state, const spire::api::server::bundle::v1::BatchSetFederatedBundleRequest& request,
    const rpc::Responder& responder);
void DeleteFederatedBundles(
    State& state, const spire::api::server::bundle::v1::BatchDeleteFederatedBundleRequest& request,
    const rpc::Responder& responder);

}  // namespace assay
