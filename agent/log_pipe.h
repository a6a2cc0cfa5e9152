// SPDX-License-Identifier: GPL-3.0-or-later
// The log file of an agent whose roles may not open files: it becomes the monitor's standard
// output, and the roles' is a pipe that the monitor copies there. Owned by the monitor's thread.
#pragma once

#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

class LogPipe final {
 public:
  // Opens the file for appending (mode 0640) and redirects this process's standard output to it. No
  // symbolic link is followed, and nothing but a regular file with one name is written to.
  static absl::StatusOr<LogPipe> Create(EventLoop& loop, const std::string& path);
  LogPipe(LogPipe&&) = default;
  LogPipe& operator=(LogPipe&&) = default;
  ~LogPipe();

  // The roles' standard output. Lines of up to 4096 bytes stay whole.
  int writer() const { return writer_.get(); }
  // Opens the file anew, after a rotation has moved it; on failure the old one is kept.
  void Reopen();

 private:
  LogPipe(EventLoop& loop, std::string path, UniqueFd reader, UniqueFd writer);

  EventLoop* loop_;
  std::string path_;
  UniqueFd reader_;
  UniqueFd writer_;
};

}  // namespace assay
