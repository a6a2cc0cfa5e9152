// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "plugins/log_line.h"

namespace assay {
namespace {

constexpr int kCouldNotStart = 126;

// What the one who started the agent may have in its environment and a plugin must not take for
// its own: systemd's, and go-plugin's where it speaks of options that are not used here.
constexpr std::string_view kDroppedVariables[] = {"NOTIFY_SOCKET=",
                                                  "WATCHDOG_PID=",
                                                  "WATCHDOG_USEC=",
                                                  "LISTEN_PID=",
                                                  "LISTEN_FDS=",
                                                  "LISTEN_FDNAMES=",
                                                  "PLUGIN_CLIENT_CERT=",
                                                  "PLUGIN_MIN_PORT=",
                                                  "PLUGIN_MAX_PORT=",
                                                  "PLUGIN_MULTIPLEX_GRPC=",
                                                  "PLUGIN_UNIX_SOCKET_DIR=",
                                                  "PLUGIN_UNIX_SOCKET_GROUP=",
                                                  "PLUGIN_PROTOCOL_VERSIONS="};

std::vector<std::string> Environment(const PluginProcess::Options& options) {
  std::vector<std::string> kept;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    bool dropped = text.starts_with(options.cookie + "=");
    for (std::string_view name : kDroppedVariables) {
      dropped = dropped || text.starts_with(name);
    }
    if (!dropped) {
      kept.emplace_back(text);
    }
  }
  kept.push_back(fmt::format("{0}={0}", options.cookie));
  kept.push_back("PLUGIN_PROTOCOL_VERSIONS=1");
  kept.push_back("PLUGIN_MIN_PORT=10000");
  kept.push_back("PLUGIN_MAX_PORT=25000");
  kept.push_back("PLUGIN_UNIX_SOCKET_DIR=" + options.socket_folder);
  return kept;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void EndChild(const char* what) {
  // Nothing but system calls is safe between fork and exec.
  const ssize_t ignored = write(STDERR_FILENO, what, strlen(what));
  static_cast<void>(ignored);
  _exit(kCouldNotStart);
}

struct Child {
  int program;
  bool is_script;
  int output;
  int errors;
  pid_t parent;
  char* const* argv;
  char* const* environment;
};

[[noreturn]] void BecomePlugin(const Child& child) {
  if (dup2(child.output, STDOUT_FILENO) < 0 || dup2(child.errors, STDERR_FILENO) < 0) {
    EndChild("giving a plugin its output failed\n");
  }
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != child.parent) {
    EndChild("tying a plugin to the agent failed\n");
  }
  // This role ignores signals that a plugin may count on.
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2}) {
    signal(number, SIG_DFL);
  }
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  if (child.is_script) {
    fcntl(child.program, F_SETFD, 0);
  }
  fexecve(child.program, child.argv, child.environment);
  EndChild("executing a plugin failed: is it a program of this machine, and executable?\n");
}

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return ErrnoStatus(errno, "making a pipe to a plugin");
  }
  std::pair<UniqueFd, UniqueFd> ends_of_pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return ends_of_pipe;
}

}  // namespace

PluginProcess::PluginProcess(EventLoop& loop, Events events)
    : loop_(loop),
      events_(std::move(events)),
      output_lines_(kMaxHandshakeBytes,
                    [this](std::string_view line, bool cut) { OnLine(line, cut); }),
      error_lines_(kMaxLogLineBytes,
                   [this](std::string_view line, bool cut) { events_.on_log(line, cut); }) {}

absl::StatusOr<std::unique_ptr<PluginProcess>> PluginProcess::Start(EventLoop& loop,
                                                                    const PluginProgram& program,
                                                                    const Options& options,
                                                                    Events events) {
  std::unique_ptr<PluginProcess> process(new PluginProcess(loop, std::move(events)));
  ASSIGN_OR_RETURN(auto output, MakePipe());
  ASSIGN_OR_RETURN(auto errors, MakePipe());
  std::vector<std::string> arguments = {program.path()};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> environment = Environment(options);
  const std::vector<char*> argv = Pointers(arguments), envp = Pointers(environment);
  const Child child{.program = program.fd(),
                    .is_script = program.is_script(),
                    .output = output.second.get(),
                    .errors = errors.second.get(),
                    .parent = getpid(),
                    .argv = argv.data(),
                    .environment = envp.data()};
  process->pid_ = fork();
  if (process->pid_ == 0) {
    BecomePlugin(child);
  }
  if (process->pid_ < 0) {
    process->pid_ = 0;
    return ErrnoStatus(errno, fmt::format("starting plugin {}", program.path()));
  }
  process->output_ = std::move(output.first);
  process->errors_ = std::move(errors.first);
  RETURN_IF_ERROR(process->Watch(options.handshake_timeout));
  return process;
}

absl::Status PluginProcess::Watch(absl::Duration handshake_timeout) {
  pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_.valid()) {
    return ErrnoStatus(errno, "watching a plugin");
  }
  RETURN_IF_ERROR(loop_.Watch(pidfd_.get(), EPOLLIN, [this](uint32_t) { OnEnded(); }));
  RETURN_IF_ERROR(
      loop_.Watch(output_.get(), EPOLLIN, [this](uint32_t) { Drain(output_, output_lines_); }));
  RETURN_IF_ERROR(
      loop_.Watch(errors_.get(), EPOLLIN, [this](uint32_t) { Drain(errors_, error_lines_); }));
  timer_ = loop_.After(handshake_timeout, [this, handshake_timeout] {
    timer_ = 0;
    Handshake(MakeStatus(absl::StatusCode::kDeadlineExceeded,
                         fmt::format("plugin did not say within {} where it serves",
                                     absl::FormatDuration(handshake_timeout))));
  });
  return absl::OkStatus();
}

PluginProcess::~PluginProcess() {
  loop_.Cancel(timer_);
  for (const UniqueFd* fd : {&pidfd_, &output_, &errors_}) {
    if (fd->valid()) {
      loop_.Unwatch(fd->get());
    }
  }
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    Reap();
  }
}

// One read at a time, so that a plugin that never stops writing keeps nothing else waiting.
bool PluginProcess::Read(int fd, LineReader& lines) {
  std::array<char, 16 << 10> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got > 0) {
    lines.Take({buffer.data(), static_cast<size_t>(got)});
  }
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void PluginProcess::Drain(UniqueFd& fd, LineReader& lines) {
  if (!Read(fd.get(), lines)) {
    loop_.Unwatch(fd.get());
    fd.Reset();
    lines.Finish();
  }
}

// What it prints after its first line nobody has asked for.
void PluginProcess::OnLine(std::string_view line, bool /*cut*/) {
  if (!shaken_) {
    Handshake(ParseHandshake(line));
  }
}

void PluginProcess::Handshake(const absl::StatusOr<PluginAddress>& address) {
  loop_.Cancel(std::exchange(timer_, 0));
  if (!std::exchange(shaken_, true)) {
    events_.on_handshake(address);
  }
}

void PluginProcess::OnEnded() {
  loop_.Unwatch(pidfd_.get());
  // Its last words; what its own children write is nobody's.
  constexpr int kMostReads = 64;
  for (int i = 0; i < kMostReads && errors_.valid(); ++i) {
    pollfd readable{.fd = errors_.get(), .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, 0) != 1) {
      break;
    }
    Drain(errors_, error_lines_);
  }
  error_lines_.Finish();
  events_.on_exit(Reap());
}

std::string PluginProcess::Reap() {
  int status = 0;
  waitpid(std::exchange(pid_, 0), &status, 0);
  return WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                             : fmt::format("exit status {}", WEXITSTATUS(status));
}

void PluginProcess::AwaitExit(absl::Duration longest) {
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  if (pid_ > 0 && poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(longest))) == 1) {
    loop_.Unwatch(pidfd_.get());
    Reap();
  }
}

}  // namespace assay
