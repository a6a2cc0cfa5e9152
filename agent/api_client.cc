// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/api_client.h"

#include <memory>

#include "agent/api_connection.h"
#include "crypto/key.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "spiffe/workload.grpc.pb.h"
#include "spiffe/x509_svid.h"

namespace assay {
namespace {

constexpr absl::Duration kHealthTimeout = absl::Seconds(3);

// Nothing that does not verify is shown or written.
absl::Status Check(const FetchedSvid& svid) {
  ASSIGN_OR_RETURN(const SpiffeId id, SpiffeId::Parse(svid.spiffe_id));
  TrustBundle bundle{.trust_domain = id.trust_domain(),
                     .x509_authorities = {},
                     .jwt_authorities = {},
                     .sequence_number = {},
                     .refresh_hint = {}};
  for (const crypto::Certificate& certificate : svid.bundle) {
    bundle.x509_authorities.push_back({certificate, false});
  }
  ASSIGN_OR_RETURN(const SpiffeId verified, VerifyX509Svid(svid.chain, bundle, absl::Now()));
  if (verified != id) {
    return InvalidArgument("the certificate is of {}", verified.ToString());
  }
  ASSIGN_OR_RETURN(const auto key, crypto::PrivateKey::Parse(svid.key));
  if (key->public_key() != svid.chain.front().public_key()) {
    return InvalidArgument("the key is not that of the certificate");
  }
  return absl::OkStatus();
}

absl::StatusOr<FetchedX509> Convert(X509SVIDResponse& response) {
  FetchedX509 fetched;
  for (X509SVID& from : *response.mutable_svids()) {
    const std::string context = fmt::format("X509-SVID {}", Quoted(from.spiffe_id()));
    auto chain = crypto::Certificate::ParseConcatenated(from.x509_svid());
    RETURN_IF_ERROR(WithContext(chain.status(), context));
    auto bundle = crypto::Certificate::ParseConcatenated(from.bundle());
    RETURN_IF_ERROR(WithContext(bundle.status(), context + ": its trust bundle"));
    fetched.svids.push_back({.spiffe_id = from.spiffe_id(),
                             .hint = from.hint(),
                             .chain = *std::move(chain),
                             .key = Secret::TakeFrom(*from.mutable_x509_svid_key()),
                             .bundle = *std::move(bundle)});
    RETURN_IF_ERROR(WithContext(Check(fetched.svids.back()), context));
  }
  for (const auto& [id, der] : response.federated_bundles()) {
    auto bundle = crypto::Certificate::ParseConcatenated(der);
    RETURN_IF_ERROR(WithContext(bundle.status(), fmt::format("trust bundle of {}", Quoted(id))));
    fetched.federated.emplace(id, *std::move(bundle));
  }
  return fetched;
}

}  // namespace

absl::StatusOr<FetchedX509> FetchX509Svids(const std::string& socket_path, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const auto channel, ConnectToAgent(socket_path));
  const auto stub = SpiffeWorkloadAPI::NewStub(channel);
  grpc::ClientContext context;
  AddWorkloadHeader(context);
  SetDeadline(context, timeout);
  const auto reader = stub->FetchX509SVID(&context, X509SVIDRequest());
  X509SVIDResponse response;
  if (!reader->Read(&response)) {
    return RpcError(reader->Finish());
  }
  context.TryCancel();
  reader->Finish();
  return Convert(response);
}

absl::Status WatchX509Svids(const std::string& socket_path,
                            const std::function<void(const FetchedX509&)>& on_update) {
  ASSIGN_OR_RETURN(const auto channel, ConnectToAgent(socket_path));
  const auto stub = SpiffeWorkloadAPI::NewStub(channel);
  grpc::ClientContext context;
  AddWorkloadHeader(context);
  const auto reader = stub->FetchX509SVID(&context, X509SVIDRequest());
  X509SVIDResponse response;
  absl::Status converted;
  while (converted.ok() && reader->Read(&response)) {
    absl::StatusOr<FetchedX509> fetched = Convert(response);
    converted = fetched.status();
    if (fetched.ok()) {
      on_update(*fetched);
    }
  }
  if (!converted.ok()) {
    context.TryCancel();
    reader->Finish();
    return converted;
  }
  return RpcError(reader->Finish());
}

absl::Status CheckAgentHealth(const std::string& socket_path) {
  namespace health = grpc::health::v1;
  ASSIGN_OR_RETURN(const auto channel, ConnectToAgent(socket_path));
  const auto stub = health::Health::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context, kHealthTimeout);
  health::HealthCheckResponse response;
  if (const grpc::Status status = stub->Check(&context, {}, &response); !status.ok()) {
    return RpcError(status);
  }
  if (response.status() != health::HealthCheckResponse::SERVING) {
    return Unavailable("agent returned status \"{}\"",
                       health::HealthCheckResponse::ServingStatus_Name(response.status()));
  }
  return absl::OkStatus();
}

}  // namespace assay
