// SPDX-License-Identifier: GPL-3.0-or-later
// The serve and probe roles as real processes, started as the monitor does, under a test that plays
// the monitor and the identity role. The test's program must hand "role NAME" to RunRole.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/role_process.h"
#include "assay/roles.pb.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "base/sandbox/channel.h"
#include "tests/support/temp_folder.h"

namespace assay {

class RoleHarness final {
 public:
  struct Options {
    bool allow_unauthenticated_verifiers = false;
    bool discover_workload_path = false;
    std::vector<std::string> authorized_delegates = {};
  };

  explicit RoleHarness(const Options& options);
  RoleHarness() : RoleHarness(Options{}) {}
  ~RoleHarness();
  RoleHarness(const RoleHarness&) = delete;
  RoleHarness& operator=(const RoleHarness&) = delete;

  const std::string& socket() const { return socket_; }
  // Of mode 0777, unlike an agent's.
  const std::string& admin_socket() const { return admin_socket_; }
  std::string target() const { return "unix:" + socket_; }

  // As the identity role.
  void Send(const roles::StateChange& change);
  // The next request of serve, waiting for it; nothing when none came in time. Reports of what is
  // in use come at any time and are left out.
  std::optional<roles::ServeRequest> NextRequest();
  // The identity role dies; a new one is linked, which has told nothing yet.
  void RestartIdentity();

  // Kills the role's process; a new one is started and linked.
  void Restart(roles::Role role);
  pid_t PidOf(roles::Role role);
  // Waits for the role to say that it does its work.
  bool AwaitReady(roles::Role role);

 private:
  void OnLoop(const std::function<void()>& work);
  void Start(roles::Role role);
  void LinkIdentity();
  void LinkProbe();

  const Options options_;
  TempFolder folder_;
  const std::string socket_;
  const std::string admin_socket_;
  SystemClock clock_;
  std::unique_ptr<EventLoop> loop_;
  UniqueFd listener_;
  UniqueFd admin_listener_;
  std::map<roles::Role, std::unique_ptr<RoleProcess>> roles_;
  std::unique_ptr<Channel> identity_;
  std::thread thread_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<roles::ServeRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::map<roles::Role, bool> ready_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
