// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "agent/role_main.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr int kCouldNotStart = 126;

// All that a role may know of the environment, in which an operator may keep secrets: how local
// time is told, and what a build with sanitizers is told.
constexpr std::string_view kKeptVariables[] = {
    "TZ=", "ASAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};

// The variables that a role keeps, and a null pointer at the end.
std::vector<char*> RoleEnvironment(bool whole) {
  std::vector<char*> kept;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const bool is_kept = std::any_of(std::begin(kKeptVariables), std::end(kKeptVariables),
                                     [variable](std::string_view name) {
                                       return std::string_view(*variable).starts_with(name);
                                     });
    if (whole || is_kept) {
      kept.push_back(*variable);
    }
  }
  kept.push_back(nullptr);
  return kept;
}

[[noreturn]] void EndChild(const char* what) {
  // Nothing but system calls is safe between fork and exec.
  const ssize_t ignored = write(STDERR_FILENO, what, strlen(what));
  static_cast<void>(ignored);
  _exit(kCouldNotStart);
}

struct Child {
  const char* executable;
  char* const* argv;
  char* const* environment;
  int input;
  int control;
  int log_fd;
};

[[noreturn]] void BecomeRole(const Child& child, const Privileges& privileges) {
  // A terminal of the operator's must not be the role's to type into.
  if (setsid() < 0 || dup2(child.input, STDIN_FILENO) < 0) {
    EndChild("assay: giving a role its session failed\n");
  }
  // The log first: its descriptor may be the number that the control channel needs.
  if (child.log_fd >= 0 && dup2(child.log_fd, STDOUT_FILENO) < 0) {
    EndChild("assay: giving a role its log failed\n");
  }
  if (child.control == kControlFd ? fcntl(kControlFd, F_SETFD, 0) != 0
                                  : dup2(child.control, kControlFd) < 0) {
    EndChild("assay: giving a role its control channel failed\n");
  }
  // Every descriptor is close-on-exec where it is made; this holds even if one were not.
  syscall(SYS_close_range, kControlFd + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0 || !Assume(privileges)) {
    EndChild("assay: giving a role its privileges failed\n");
  }
  execve(child.executable, child.argv, child.environment);
  EndChild("assay: executing a role failed\n");
}

}  // namespace

absl::StatusOr<std::unique_ptr<RoleProcess>> RoleProcess::Start(const RoleSpec& spec,
                                                                const RoleProgram& program,
                                                                const Privileges& privileges,
                                                                EventLoop& loop,
                                                                Channel::OnMessage on_message) {
  std::unique_ptr<RoleProcess> process(new RoleProcess(loop));
  ASSIGN_OR_RETURN(auto ends, Channel::MakePair());
  const std::string_view name = spec.name;
  RoleProcess* raw = process.get();
  ASSIGN_OR_RETURN(
      process->control_,
      Channel::Create(loop, std::move(ends.first), std::move(on_message),
                      [raw, name](const absl::Status& why) { raw->OnClosed(name, why); }));
  std::string name_argument(spec.name);
  std::string program_name = program.name;
  std::string role_word = "role";
  char* const argv[] = {program_name.data(), role_word.data(), name_argument.data(), nullptr};
  const std::vector<char*> environment = RoleEnvironment(spec.whole_environment);
  const UniqueFd input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Child child{program.executable.c_str(), argv,          environment.data(), input.get(),
                    ends.second.get(),          program.log_fd};
  process->pid_ = fork();
  if (process->pid_ == 0) {
    BecomeRole(child, privileges);
  }
  if (process->pid_ < 0) {
    process->pid_ = 0;
    return ErrnoStatus(errno, fmt::format("starting the {} role", name));
  }
  return process;
}

RoleProcess::~RoleProcess() {
  loop_.Cancel(kill_timer_);
  Kill();
}

void RoleProcess::OnClosed(std::string_view name, const absl::Status& why) {
  if (why.code() == absl::StatusCode::kInvalidArgument) {
    log::Error("Role broke its channel", {{"role", name}, {"error", why}});
    Kill();
    return;
  }
  kill_timer_ = loop_.After(kGrace, [this] { Kill(); });
}

void RoleProcess::Kill() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
  }
}

int RoleProcess::Reap() {
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  // It leads a group of its own, whose number is nobody else's until it is reaped.
  kill(-pid_, SIGKILL);
  int status = 0;
  waitpid(std::exchange(pid_, 0), &status, 0);
  return status;
}

absl::Duration RestartBackoff::Next(absl::Duration lifetime) {
  if (lifetime >= kLongLife) {
    next_ = absl::ZeroDuration();
  }
  const absl::Duration delay = next_;
  next_ = std::clamp(2 * next_, kFirst, kLongest);
  return delay;
}

std::string DescribeExit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    const char* name = sigdescr_np(number);
    return fmt::format("signal {} ({})", number, name == nullptr ? "unknown" : name);
  }
  return fmt::format("exit status {}", WEXITSTATUS(wait_status));
}

}  // namespace assay
