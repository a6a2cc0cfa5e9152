// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/svid_store.h"

#include <memory>

#include "plugins/channel_client.h"
#include "spire/plugin/agent/svidstore/v1/svidstore.grpc.pb.h"

namespace assay {

namespace svidstore = spire::plugin::agent::svidstore::v1;

absl::Status SvidStorePlugin::Put(const StoredSvid& svid,
                                  const std::vector<std::string>& metadata) {
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, connection_.Await(timeout_ / 2));
  grpc::ClientContext context;
  SetDeadline(context, timeout_ / 2);
  svidstore::PutX509SVIDRequest request;
  svidstore::PutX509SVIDResponse response;
  svidstore::X509SVID& put = *request.mutable_svid();
  put.set_spiffeid(svid.spiffe_id);
  put.mutable_cert_chain()->Add(svid.chain.begin(), svid.chain.end());
  put.set_private_key(std::string(svid.key.Reveal()));
  put.mutable_bundle()->Add(svid.bundle.begin(), svid.bundle.end());
  put.set_expires_at(svid.expires_at);
  request.mutable_metadata()->Add(metadata.begin(), metadata.end());
  for (const auto& [trust_domain, bundle] : svid.federated_bundles) {
    (*request.mutable_federated_bundles())[trust_domain] = bundle;
  }
  const auto stub = svidstore::SVIDStore::NewStub(channel);
  const grpc::Status status = stub->PutX509SVID(&context, request, &response);
  Wipe(put.mutable_private_key()->data(), put.private_key().size());
  return connection_.Ended(channel, status);
}

absl::Status SvidStorePlugin::Delete(const std::vector<std::string>& metadata) {
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, connection_.Await(timeout_ / 2));
  grpc::ClientContext context;
  SetDeadline(context, timeout_ / 2);
  svidstore::DeleteX509SVIDRequest request;
  svidstore::DeleteX509SVIDResponse response;
  request.mutable_metadata()->Add(metadata.begin(), metadata.end());
  const auto stub = svidstore::SVIDStore::NewStub(channel);
  return connection_.Ended(channel, stub->DeleteX509SVID(&context, request, &response));
}

}  // namespace assay
