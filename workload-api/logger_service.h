// SPDX-License-Identifier: GPL-3.0-or-later
// spire.api.agent.logger.v1.Logger of the admin socket: the level of the agent's log, which the
// operator changes without a restart. Of levels that this log has not the nearest is taken, and
// answered. Owned by the event loop's thread.
#pragma once

#include <functional>
#include <utility>

#include "base/log.h"
#include "rpc/call.h"

namespace assay {

class LoggerService final {
 public:
  struct Options {
    log::Level launch_level = log::Level::kInfo;  // To reset to.
    // Sets the level of the whole agent; this process's is set already.
    std::function<void(log::Level level)> set;
  };

  explicit LoggerService(Options options) : options_(std::move(options)) {}
  LoggerService(const LoggerService&) = delete;
  LoggerService& operator=(const LoggerService&) = delete;

  // The service must outlive the servers of the registry.
  void AddTo(rpc::Registry& registry);

 private:
  void Set(log::Level level);
  void Answer(rpc::Call& call) const;

  const Options options_;
};

}  // namespace assay
