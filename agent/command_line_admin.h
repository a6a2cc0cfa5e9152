// SPDX-License-Identifier: GPL-3.0-or-later
// What the commands share that ask an agent on its admin socket.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/api_connection.h"
#include "agent/command_line_command.h"
#include "base/arguments.h"
#include "base/status.h"

namespace assay {

struct AdminFlags {
  explicit AdminFlags(std::string_view command) : arguments(command) {
    arguments.Add("output", OutputReader(json),
                  "Desired output format (pretty, json); default: pretty.");
    arguments.Add("socketPath", socket_path, "Path to the SPIRE Agent admin API socket");
  }

  Arguments arguments;
  std::string socket_path = "/tmp/spire-agent/private/admin.sock";
  bool json = false;
};

// Connects and calls. Errors are in the reference's words, which name the socket with "//".
template <typename Service, typename Request, typename Response>
absl::StatusOr<Response> AskAgent(const AdminFlags& flags, const Request& request,
                                  grpc::Status (Service::Stub::*method)(grpc::ClientContext*,
                                                                        const Request&, Response*),
                                  absl::Duration timeout = absl::Seconds(5)) {
  ASSIGN_OR_RETURN(const auto channel, ConnectToAgent(flags.socket_path, "//"));
  const auto stub = Service::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  Response response;
  const grpc::Status status = (stub.get()->*method)(&context, request, &response);
  return status.ok() ? absl::StatusOr<Response>(std::move(response)) : RpcError(status);
}

// Says so, and returns the exit status.
int AdminCallFailed(const absl::Status& why, const CommandStreams& streams);

// "2026-11-22T05:00:00Z"
std::string TimeText(int64_t unix_seconds);

}  // namespace assay
