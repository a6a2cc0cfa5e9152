// SPDX-License-Identifier: GPL-3.0-or-later
// The process of a plugin: started as go-plugin starts one, with the agent's environment and this
// process's user, and killed with this process whatever ends that. Owned by the event loop's
// thread, which must be the thread that started it and must not end before it.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "plugins/handshake.h"
#include "plugins/line_reader.h"
#include "plugins/program.h"

namespace assay {

class PluginProcess final {
 public:
  static constexpr absl::Duration kHandshakeTimeout = absl::Minutes(1);

  struct Events {
    // Once: where it serves, or why it will not.
    std::function<void(const absl::StatusOr<PluginAddress>& address)> on_handshake;
    // Each line of its error output, or each part of a long one.
    std::function<void(std::string_view line, bool cut)> on_log;
    // Once, and last: "exit status 1". May not destroy the process.
    std::function<void(const std::string& how)> on_exit;
  };
  struct Options {
    std::string cookie;                  // The name and the value of go-plugin's magic cookie.
    std::string socket_folder;           // Where it is to make its sockets.
    std::vector<std::string> arguments;  // After its name.
    absl::Duration handshake_timeout = kHandshakeTimeout;
  };

  // The loop must outlive it; the program is needed for the call alone.
  static absl::StatusOr<std::unique_ptr<PluginProcess>> Start(EventLoop& loop,
                                                              const PluginProgram& program,
                                                              const Options& options,
                                                              Events events);
  // Kills and reaps it when it still runs.
  ~PluginProcess();
  PluginProcess(const PluginProcess&) = delete;
  PluginProcess& operator=(const PluginProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool is_running() const { return pid_ > 0; }
  // Waits until it has ended, at most so long, without the loop.
  void AwaitExit(absl::Duration longest);

 private:
  PluginProcess(EventLoop& loop, Events events);
  absl::Status Watch(absl::Duration handshake_timeout);
  // Reads what there is; false at the stream's end.
  bool Read(int fd, LineReader& lines);
  void Drain(UniqueFd& fd, LineReader& lines);
  void OnLine(std::string_view line, bool cut);
  void Handshake(const absl::StatusOr<PluginAddress>& address);
  void OnEnded();
  std::string Reap();

  EventLoop& loop_;
  const Events events_;
  pid_t pid_ = 0;
  UniqueFd pidfd_;
  UniqueFd output_;
  UniqueFd errors_;
  LineReader output_lines_;
  LineReader error_lines_;
  EventLoop::TimerId timer_ = 0;
  bool shaken_ = false;
};

}  // namespace assay
