// SPDX-License-Identifier: GPL-3.0-or-later
// The client side of the server API for the command line: one connection on a Unix socket, made at
// the first call. A failed call is a status whose message reads as the reference's command line
// prints it: "rpc error: code = NotFound desc = entry not found". Not thread-safe.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay {

class ApiClient final {
 public:
  explicit ApiClient(std::string_view socket_path) : socket_path_(socket_path) {}

  // Makes one unary call: Call(&entry::v1::Entry::Stub::GetEntry, request).
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    RETURN_IF_ERROR(Connect());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    Response response;
    Stub stub(channel_);
    RETURN_IF_ERROR(ToStatus((stub.*method)(&context, request, &response)));
    return response;
  }

 private:
  static constexpr std::chrono::minutes kCallTimeout{5};

  absl::Status Connect();
  static absl::Status ToStatus(const grpc::Status& status);

  const std::string socket_path_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace assay
