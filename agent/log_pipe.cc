// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/log_pipe.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/log_file.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr mode_t kMode = 0640;

absl::Status RedirectOutput(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenLogFile(path, O_WRONLY, kMode));
  if (dup2(file.get(), STDOUT_FILENO) < 0) {
    return ErrnoStatus(errno, fmt::format("logging to {}", path));
  }
  return absl::OkStatus();
}

// Copies what the pipe holds now; false at its end, or when it holds nothing.
bool Copy(int reader) {
  char buffer[16 << 10];
  const ssize_t got = read(reader, buffer, sizeof(buffer));
  for (ssize_t done = 0; done < got;) {
    const ssize_t wrote = write(STDOUT_FILENO, buffer + done, static_cast<size_t>(got - done));
    if (wrote <= 0 && errno != EINTR) {
      break;  // A full disk costs the log's lines, not the agent.
    }
    done += std::max<ssize_t>(wrote, 0);
  }
  return got > 0;
}

}  // namespace

absl::StatusOr<LogPipe> LogPipe::Create(EventLoop& loop, const std::string& path) {
  RETURN_IF_ERROR(RedirectOutput(path));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "making the roles' log pipe");
  }
  LogPipe log_pipe(loop, path, UniqueFd(ends[0]), UniqueFd(ends[1]));
  const int reader = ends[0];
  RETURN_IF_ERROR(loop.Watch(reader, EPOLLIN, [reader](uint32_t) { Copy(reader); }));
  return log_pipe;
}

LogPipe::LogPipe(EventLoop& loop, std::string path, UniqueFd reader, UniqueFd writer)
    : loop_(&loop),
      path_(std::move(path)),
      reader_(std::move(reader)),
      writer_(std::move(writer)) {}

LogPipe::~LogPipe() {
  if (reader_.valid()) {
    loop_->Unwatch(reader_.get());
    while (Copy(reader_.get())) {
    }
  }
}

void LogPipe::Reopen() {
  if (absl::Status reopened = RedirectOutput(path_); !reopened.ok()) {
    log::Error("Log file was not reopened", {{"error", reopened}});
  }
}

}  // namespace assay
