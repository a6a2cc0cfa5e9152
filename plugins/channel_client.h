// SPDX-License-Identifier: GPL-3.0-or-later
// gRPC to a plugin: a channel on a connected socket, calls with deadlines, and what they end with.
#pragma once

#include <absl/time/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

// The largest message that is taken of a plugin.
constexpr int kMaxPluginMessageBytes = 4 << 20;

// Ends with the socket: it is never connected anew.
std::shared_ptr<grpc::Channel> MakePluginChannel(UniqueFd socket);

inline void SetDeadline(grpc::ClientContext& context, absl::Duration longest) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(longest));
}

// The same code and words, "who: " before them and of bounded length.
absl::Status PluginStatus(std::string_view who, const grpc::Status& status);

}  // namespace assay
