// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/channel_client.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>

#include <string>

namespace assay {
namespace {

constexpr size_t kMaxWordsBytes = 1024;
constexpr int kLastCode = 16;

}  // namespace

std::shared_ptr<grpc::Channel> MakePluginChannel(UniqueFd socket) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetMaxReceiveMessageSize(kMaxPluginMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  return grpc::CreateCustomInsecureChannelFromFd("plugin", socket.Release(), arguments);
}

absl::Status PluginStatus(std::string_view who, const grpc::Status& status) {
  if (status.ok()) {
    return absl::OkStatus();
  }
  const int code = status.error_code();
  return MakeStatus(
      code > 0 && code <= kLastCode ? static_cast<absl::StatusCode>(code)
                                    : absl::StatusCode::kUnknown,
      fmt::format("{}: {}", who,
                  std::string_view(status.error_message()).substr(0, kMaxWordsBytes)));
}

}  // namespace assay
