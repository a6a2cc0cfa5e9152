// SPDX-License-Identifier: GPL-3.0-or-later
// What the monitor tells a role when it starts, and when the configuration was read anew: by the
// newest configuration, for a role that is started again is told that, too.
#pragma once

#include <absl/time/time.h>

#include <optional>

#include "agent/monitor.h"
#include "agent/role_plan.h"
#include "assay/roles.pb.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace assay {

class RoleStarts final {
 public:
  // How far it has come.
  struct Progress {
    bool agent_has_served = false;
    bool role_was_ready = false;
    absl::Time agent_started;
  };
  // Goes with the descriptor of a sealed file, which stays the RoleStarts'; -1: without.
  struct Message {
    roles::MonitorToRole message;
    int file = -1;
  };

  // The options must outlive it.
  explicit RoleStarts(const MonitorOptions& options);

  Message Start(const RoleKey& role, const Progress& progress) const;
  // What of its own has been read anew since the agent's start; nothing when nothing has.
  std::optional<Message> Reloaded(const RoleKey& role, const Progress& progress) const;
  // That, or the log's options alone.
  Message Reload(const RoleKey& role, const Progress& progress) const;

  void TakeUp(MonitorReload reload);
  void SetLogLevel(log::Level level) { log_.level = level; }
  const log::Options& log() const { return log_; }
  // The configuration that identity has, of SealIdentityStart.
  int identity_start() const;

 private:
  roles::Start StartOf(const RoleKey& role, const Progress& progress) const;
  roles::ServeStart ServeStart(const Progress& progress) const;
  roles::ProbeStart ProbeStart() const;
  int SealedFile(const RoleKey& role) const;
  int ReloadedFile(const RoleKey& role) const;

  const MonitorOptions& options_;
  // Of the newest configuration.
  log::Options log_;
  MonitorServe serve_;
  UniqueFd identity_start_;  // Invalid: as it was started.
  std::vector<MonitorPlugin> plugins_;
};

}  // namespace assay
