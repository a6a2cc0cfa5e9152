// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/cli_client.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/grpc_text.h"
#include "base/unique_fd.h"

namespace assay {
namespace {

// A page of entries may be large; the upstream is trusted and local.
constexpr int kMaxAnswerBytes = 256 << 20;

absl::Status RpcError(int code, std::string_view description) {
  return MakeStatus(static_cast<absl::StatusCode>(code), GrpcText(code, description));
}

absl::Status DialError(const std::string& path, std::string_view why) {
  return RpcError(grpc::StatusCode::UNAVAILABLE,
                  fmt::format("connection error: desc = \"transport: Error while dialing: dial "
                              "unix {}: {}\"",
                              path, why));
}

// What strerror says, as Go writes it.
std::string LowerCaseError(int error) {
  std::string text = std::strerror(error);
  text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return "connect: " + text;
}

}  // namespace

// The socket is connected here and not by gRPC, whose words do not tell a missing socket from one
// that may not be opened, and which would go on trying.
absl::Status ApiClient::Connect() {
  if (channel_) {
    return absl::OkStatus();
  }
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_path_.empty() || socket_path_.size() >= sizeof(address.sun_path)) {
    return DialError(socket_path_, fmt::format("a socket's path has 1 to {} bytes",
                                               sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, socket_path_.data(), socket_path_.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return ErrnoStatus(errno, "making a socket");
  }
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return DialError(socket_path_, LowerCaseError(errno));
  }
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "making a socket non-blocking");
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  channel_ = grpc::CreateCustomInsecureChannelFromFd("localhost", fd.Release(), arguments);
  return absl::OkStatus();
}

absl::Status ApiClient::ToStatus(const grpc::Status& status) {
  return status.ok() ? absl::OkStatus() : RpcError(status.error_code(), status.error_message());
}

}  // namespace assay
