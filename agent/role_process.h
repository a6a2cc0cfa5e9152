// SPDX-License-Identifier: GPL-3.0-or-later
// The process of one role, as the monitor sees it: started by re-executing the program, talked to
// over its control channel, reaped by the monitor. Owned by the monitor's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "agent/privileges.h"
#include "agent/roles.h"
#include "base/sandbox/channel.h"
#include "base/status.h"

namespace assay {

// How a role's program is started.
struct RoleProgram {
  std::string executable;
  std::string name;  // argv[0]
  // Becomes the role's standard output; -1: the monitor's own. Its input is empty, its error output
  // the monitor's.
  int log_fd = -1;
};

class RoleProcess final {
 public:
  static constexpr absl::Duration kGrace = absl::Seconds(5);

  // Starts the role, in a session of its own and with little of the environment. Its messages go to
  // on_message until the object dies. When its channel ends it must die too: at once after breaking
  // the channel's rules, else within kGrace.
  static absl::StatusOr<std::unique_ptr<RoleProcess>> Start(const RoleSpec& spec,
                                                            const RoleProgram& program,
                                                            const Privileges& privileges,
                                                            EventLoop& loop,
                                                            Channel::OnMessage on_message);
  // Kills the process when it still runs; whoever waits for children reaps it.
  ~RoleProcess();
  RoleProcess(const RoleProcess&) = delete;
  RoleProcess& operator=(const RoleProcess&) = delete;

  pid_t pid() const { return pid_; }
  Channel& control() { return *control_; }
  void Kill();
  // Waits for its end, ends what it has started of its own (a plugin's role starts a program, and
  // that may start others), and reaps it: its pid may be another process's from now on. Its status,
  // as waitpid gives it.
  int Reap();

 private:
  explicit RoleProcess(EventLoop& loop) : loop_(loop) {}
  void OnClosed(std::string_view name, const absl::Status& why);

  EventLoop& loop_;
  pid_t pid_ = 0;
  EventLoop::TimerId kill_timer_ = 0;
  std::unique_ptr<Channel> control_;
};

// How long to wait before starting a role anew: not at all the first time and after a life of
// kLongLife, and 100 ms, doubling up to 5 s, for deaths that follow each other faster.
class RestartBackoff {
 public:
  static constexpr absl::Duration kLongLife = absl::Seconds(2);
  absl::Duration Next(absl::Duration lifetime);

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  static constexpr absl::Duration kLongest = absl::Seconds(5);
  absl::Duration next_ = absl::ZeroDuration();
};

// "exit status 1" or "signal 11 (Segmentation fault)", of a status from waitpid.
std::string DescribeExit(int wait_status);

}  // namespace assay
