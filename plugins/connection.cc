// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/connection.h"

#include <chrono>
#include <utility>

#include "plugins/channel_client.h"

namespace assay {

PluginConnection::PluginConnection(PluginName plugin, Want want)
    : plugin_(std::move(plugin)), want_(std::move(want)) {}

PluginConnection::~PluginConnection() = default;

absl::StatusOr<std::shared_ptr<grpc::Channel>> PluginConnection::Await(absl::Duration longest) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(longest);
  MutexLock lock(mutex_);
  while (channel_ == nullptr) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return Unavailable("{}: plugin is not running", plugin_.ToString());
    }
    changed_.WaitFor(mutex_, left);
  }
  return channel_;
}

absl::Status PluginConnection::Ended(const std::shared_ptr<grpc::Channel>& channel,
                                     const grpc::Status& status) {
  // A call that the connection's end has cut off; or the plugin's own word, which costs a new
  // connection.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    {
      MutexLock lock(mutex_);
      if (channel_ != channel) {
        return PluginStatus(plugin_.ToString(), status);
      }
      channel_ = nullptr;
    }
    want_();
  }
  return PluginStatus(plugin_.ToString(), status);
}

void PluginConnection::Connect(UniqueFd socket) {
  std::shared_ptr<grpc::Channel> channel = MakePluginChannel(std::move(socket));
  MutexLock lock(mutex_);
  channel_.swap(channel);
  changed_.NotifyAll();
}

void PluginConnection::Drop() {
  std::shared_ptr<grpc::Channel> dropped;
  MutexLock lock(mutex_);
  dropped.swap(channel_);
}

}  // namespace assay
