// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT profile's side of the client.
#include <cmath>
#include <nlohmann/json.hpp>

#include "agent/api_client.h"
#include "agent/api_connection.h"
#include "spiffe/workload.grpc.pb.h"

namespace assay {
namespace {

using google::protobuf::Value;

constexpr double kLargestExact = 9007199254740992.0;

// As deep as the value, which is no deeper than Protobuf parses messages.
nlohmann::json ToJson(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue: {
      const double number = value.number_value();
      if (std::trunc(number) == number && std::abs(number) <= kLargestExact) {
        return static_cast<int64_t>(number);
      }
      return number;
    }
    case Value::kStringValue:
      return value.string_value();
    case Value::kBoolValue:
      return value.bool_value();
    case Value::kStructValue: {
      nlohmann::json object = nlohmann::json::object();
      for (const auto& [name, member] : value.struct_value().fields()) {
        object[name] = ToJson(member);
      }
      return object;
    }
    case Value::kListValue: {
      nlohmann::json list = nlohmann::json::array();
      for (const Value& item : value.list_value().values()) {
        list.push_back(ToJson(item));
      }
      return list;
    }
    default:
      return nullptr;
  }
}

absl::Status FetchBundles(SpiffeWorkloadAPI::Stub& stub, absl::Duration timeout,
                          FetchedJwt& fetched) {
  grpc::ClientContext context;
  AddWorkloadHeader(context);
  SetDeadline(context, timeout);
  const auto reader = stub.FetchJWTBundles(&context, JWTBundlesRequest());
  JWTBundlesResponse response;
  if (!reader->Read(&response)) {
    return RpcError(reader->Finish());
  }
  context.TryCancel();
  reader->Finish();
  fetched.bundles = {response.bundles().begin(), response.bundles().end()};
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FetchedJwt> FetchJwtSvids(const std::string& socket_path, absl::Duration timeout,
                                         const std::vector<std::string>& audience,
                                         const std::string& spiffe_id) {
  ASSIGN_OR_RETURN(const auto channel, ConnectToAgent(socket_path));
  const auto stub = SpiffeWorkloadAPI::NewStub(channel);
  FetchedJwt fetched;
  RETURN_IF_ERROR(FetchBundles(*stub, timeout, fetched));
  grpc::ClientContext context;
  AddWorkloadHeader(context);
  SetDeadline(context, timeout);
  JWTSVIDRequest request;
  request.mutable_audience()->Add(audience.begin(), audience.end());
  request.set_spiffe_id(spiffe_id);
  JWTSVIDResponse response;
  if (const grpc::Status status = stub->FetchJWTSVID(&context, request, &response); !status.ok()) {
    return RpcError(status);
  }
  for (JWTSVID& svid : *response.mutable_svids()) {
    fetched.svids.push_back({.spiffe_id = svid.spiffe_id(),
                             .token = Secret::TakeFrom(*svid.mutable_svid()),
                             .hint = svid.hint()});
  }
  return fetched;
}

absl::StatusOr<ValidatedJwt> ValidateJwtSvid(const std::string& socket_path, absl::Duration timeout,
                                             const std::string& audience,
                                             const std::string& token) {
  ASSIGN_OR_RETURN(const auto channel, ConnectToAgent(socket_path));
  const auto stub = SpiffeWorkloadAPI::NewStub(channel);
  grpc::ClientContext context;
  AddWorkloadHeader(context);
  SetDeadline(context, timeout);
  ValidateJWTSVIDRequest request;
  request.set_audience(audience);
  request.set_svid(token);
  ValidateJWTSVIDResponse response;
  const grpc::Status status = stub->ValidateJWTSVID(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) {
    return InvalidArgument("SVID is not valid: {}", status.error_message());
  }
  if (!status.ok()) {
    return WithContext(RpcError(status), "unable to validate JWT SVID");
  }
  Value claims;
  *claims.mutable_struct_value() = std::move(*response.mutable_claims());
  return ValidatedJwt{.spiffe_id = response.spiffe_id(), .claims = ToJson(claims).dump()};
}

}  // namespace assay
