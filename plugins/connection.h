// SPDX-License-Identifier: GPL-3.0-or-later
// A connection to a plugin whose process another role hosts: the socket comes from there, and is
// asked for anew when the connection breaks. Thread-safe.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "plugins/plugin_type.h"

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace assay {

class PluginConnection final {
 public:
  // Asks for a socket, which Connect is given later. Called on any thread, without a lock held.
  using Want = std::function<void()>;

  PluginConnection(PluginName plugin, Want want);
  ~PluginConnection();
  PluginConnection(const PluginConnection&) = delete;
  PluginConnection& operator=(const PluginConnection&) = delete;

  const std::string& name() const { return plugin_.name; }

  // What calls are made on; waits for it at most so long. Unavailable when there is none.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Await(absl::Duration longest);
  // What a call on the channel came to, for its caller. A channel that broke is dropped.
  absl::Status Ended(const std::shared_ptr<grpc::Channel>& channel, const grpc::Status& status);

  // A socket that is connected to the plugin.
  void Connect(UniqueFd socket);
  // The plugin's process has ended.
  void Drop();

 private:
  const PluginName plugin_;
  const Want want_;
  Mutex mutex_;
  CondVar changed_;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
