// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/api_connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/grpc_text.h"
#include "base/unique_fd.h"

namespace assay {
namespace {

constexpr int kMaxResponseBytes = 64 << 20;

absl::Status RpcError(grpc::StatusCode code, std::string_view text) {
  return MakeStatus(static_cast<absl::StatusCode>(code), GrpcText(code, text));
}

// gRPC hides why a socket cannot be reached, and this one is worth a clear word.
absl::Status TryConnect(const std::string& path, std::string_view prefix) {
  const auto refused = [&](int error) {
    std::string reason = std::strerror(error);
    reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
    return RpcError(grpc::StatusCode::UNAVAILABLE,
                    fmt::format("connection error: desc = \"transport: Error while dialing: dial "
                                "unix {}{}: connect: {}\"",
                                prefix, path, reason));
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return refused(ENAMETOOLONG);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return refused(errno);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToAgent(const std::string& socket_path,
                                                              std::string_view prefix) {
  const std::string path = std::filesystem::absolute(socket_path).string();
  RETURN_IF_ERROR(TryConnect(path, prefix));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  return grpc::CreateCustomChannel("unix://" + path, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status RpcError(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return RpcError(status.error_code(), "context deadline exceeded");
  }
  return RpcError(status.error_code(), status.error_message());
}

void AddWorkloadHeader(grpc::ClientContext& context) {
  context.AddMetadata("workload.spiffe.io", "true");
}

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
}

}  // namespace assay
