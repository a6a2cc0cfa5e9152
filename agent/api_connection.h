// SPDX-License-Identifier: GPL-3.0-or-later
// A gRPC channel to a Unix socket of an agent, and its errors in the reference's words: "rpc error:
// code = PermissionDenied desc = no identity issued".
#pragma once

#include <absl/time/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay {

// Unavailable says why the socket cannot be reached; the prefix stands before its path there.
absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToAgent(const std::string& socket_path,
                                                              std::string_view prefix = "");

// Of a call that failed.
absl::Status RpcError(const grpc::Status& status);

// The metadata that each call of the Workload API needs.
void AddWorkloadHeader(grpc::ClientContext& context);

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout);

}  // namespace assay
