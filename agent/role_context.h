// SPDX-License-Identifier: GPL-3.0-or-later
// What every role's process has in common: an event loop, a clock, and the control channel to the
// monitor, whose messages become calls of a RoleBody. The loss of the monitor, or a message that is
// not permitted, ends the process. Owned by the role's one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "agent/roles.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/sandbox/channel.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

namespace roles {
class AuditState;
class HandedOutKeys;
class MonitorToRole;
class Start;
}  // namespace roles

// What a role does with the monitor's messages. A failed status ends the process, logged, with
// exit status 1; the monitor then starts the role anew.
class RoleBody {
 public:
  virtual ~RoleBody() = default;
  // Once, before all others. The log is open already.
  virtual absl::Status OnStart(const roles::Start& start) = 0;
  // Later, any number of times: other options, of which the log's are taken up already. Options
  // that cannot change in a running process stay as they are.
  virtual absl::Status OnReload(const roles::Start& start);
  // This role's end of a channel to peer. A second one for a peer replaces the first: the peer has
  // been started anew and knows nothing.
  virtual absl::Status OnLink(roles::Role peer, UniqueFd channel) = 0;
  // As OnLink, of the role of the plugin with this number.
  virtual absl::Status OnPluginLink(uint32_t plugin, UniqueFd channel);
  // A bound, listening socket of one of the role's endpoints (agent/roles.cc).
  virtual absl::Status OnListen(roles::Endpoint endpoint, UniqueFd listener);
  // How it is with the audit log's file; to the serve role alone.
  virtual void OnAuditState(const roles::AuditState& state);
};

class RoleContext final {
 public:
  static constexpr absl::Duration kRelinkGrace = absl::Seconds(2);

  // control is this role's end of the channel to the monitor.
  static absl::StatusOr<std::unique_ptr<RoleContext>> Create(roles::Role self, UniqueFd control);
  ~RoleContext();
  RoleContext(const RoleContext&) = delete;
  RoleContext& operator=(const RoleContext&) = delete;

  EventLoop& loop() { return *loop_; }
  const Clock& clock() const { return clock_; }

  // Serves the monitor until it says stop; returns the process's exit status.
  int Run(RoleBody& body);

  // Tells the monitor, once, that the role does its work.
  void Ready();
  // Asks the monitor to stop the whole agent with this exit status; for identity alone. The role
  // goes on until it is told to stop.
  void ExitAgent(int code, std::string_view reason);
  // Asks the monitor to give all roles' logs this level; for serve alone.
  void SetLogLevel(log::Level level);
  // Tells the monitor what is about to be handed out; for serve alone. When this returns that is
  // out of this process's hands, unless the monitor reads slowly.
  absl::Status TellHandedOut(const roles::HandedOutKeys& keys);
  // The channel to the peer has ended. The monitor is asked to end the peer: at once when it broke
  // the channel's rules (InvalidArgument, PermissionDenied), else when no new link comes within
  // kRelinkGrace.
  // Of several plugins' roles the number says which.
  void LinkEnded(roles::Role peer, const absl::Status& why, uint32_t plugin = 0);
  // The peer sent what it may not: the monitor is asked to end it. The caller drops the channel.
  void PeerBrokeRules(roles::Role peer, const absl::Status& why, uint32_t plugin = 0);
  // Ends this process alone after the current callback: the monitor starts the role anew.
  void Fail(const absl::Status& why);

 private:
  // A role, and of plugins which.
  using PeerKey = std::pair<roles::Role, uint32_t>;
  // The newest channel to a peer.
  struct Link {
    uint64_t number = 0;
    EventLoop::TimerId grace = 0;  // Runs after its end.
  };

  explicit RoleContext(roles::Role self);
  void OnMessage(std::string_view bytes, UniqueFd fd);
  absl::Status Dispatch(const roles::MonitorToRole& message, UniqueFd fd);
  absl::Status Configure(roles::Start start, const UniqueFd& fd,
                         absl::Status (RoleBody::*take)(const roles::Start& start));
  absl::Status TakeLink(const roles::MonitorToRole& message, UniqueFd fd);
  void ReportBroken(const PeerKey& peer);

  const roles::Role self_;
  const SystemClock clock_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Channel> control_;
  RoleBody* body_ = nullptr;
  std::map<PeerKey, Link> links_;
  bool started_ = false;
  bool ready_ = false;
  int exit_status_ = 0;
};

}  // namespace assay
