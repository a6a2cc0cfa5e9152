// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of a plugin that has been started: go-plugin's broker, by which the plugin learns
// where the host's services are, and the calls of SPIRE's SDK that begin, configure and end it. Its
// calls block, at most kLoadTimeout each. Thread-safe but for its end.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "plugins/plugin_type.h"

namespace assay {

class PluginSession final {
 public:
  static constexpr absl::Duration kLoadTimeout = absl::Minutes(1);
  // How long the plugin may take to end in order, in all.
  static constexpr absl::Duration kEndTimeout = absl::Seconds(2);

  struct Options {
    PluginName plugin;
    std::string trust_domain;
    std::string host_socket;                 // Where the host's services are.
    std::vector<std::string> host_services;  // Their full names.
  };

  // Begins the plugin on a connected socket. FailedPrecondition when it lacks the service of its
  // type.
  static absl::StatusOr<std::unique_ptr<PluginSession>> Begin(UniqueFd socket, Options options);
  // Ends the conversation, and not the plugin.
  ~PluginSession();
  PluginSession(const PluginSession&) = delete;
  PluginSession& operator=(const PluginSession&) = delete;

  // Gives the plugin its options as HCL text. One that takes none is left alone when there are
  // none, else that is FailedPrecondition.
  absl::Status Configure(const std::optional<Secret>& data);
  // Asks the plugin to end.
  void End();

  // Its services that the agent does not know.
  const std::vector<std::string>& unknown_services() const { return unknown_services_; }

 private:
  struct Impl;
  PluginSession(std::unique_ptr<Impl> impl, Options options);
  absl::Status TakeServices(const std::vector<std::string>& names);

  const std::unique_ptr<Impl> impl_;
  const Options options_;
  bool takes_options_ = false;
  std::vector<std::string> unknown_services_;
};

}  // namespace assay
