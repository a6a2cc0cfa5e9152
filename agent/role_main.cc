// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_main.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

// In serve 20,000 connections of two descriptors each, and room; in probe what serve may ask at
// once.
constexpr rlim_t kDescriptors = 65536;

absl::Status CheckControl() {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    return FailedPrecondition("roles are started by the agent itself: use the run command");
  }
  return absl::OkStatus();
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < kDescriptors) {
    limit.rlim_cur = std::min(limit.rlim_max, kDescriptors);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

absl::Status Harden(const RoleSpec& spec) {
  // Signals for the agent are the monitor's, also when a terminal or systemd sends them to all of
  // its processes.
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2}) {
    signal(number, SIG_IGN);
  }
  const rlimit no_core{0, 0};
  if (fcntl(kControlFd, F_SETFD, FD_CLOEXEC) != 0 ||
      prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      (!spec.dumpable &&
       (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0))) {
    return ErrnoStatus(errno, "hardening the process");
  }
  // After a re-execution through /proc the name would be "exe".
  prctl(PR_SET_NAME, ("assay-" + std::string(spec.name)).c_str(), 0, 0, 0);
  return absl::OkStatus();
}

}  // namespace

int RunRole(std::string_view name, int (*run_identity)(UniqueFd control)) {
  const absl::StatusOr<roles::Role> role = ParseRole(name);
  absl::Status ready = role.status();
  if (ready.ok()) {
    ready = CheckControl();
  }
  if (!ready.ok()) {
    fmt::print(stderr, "{}\n", Message(ready));
    return 2;
  }
  ready = Harden(SpecOf(*role));
  if (!ready.ok()) {
    log::Error("Role failed", {{"role", name}, {"error", ready}});
    return 1;
  }
  RaiseDescriptorLimit();
  UniqueFd control(kControlFd);
  switch (*role) {
    case roles::IDENTITY:
      return run_identity(std::move(control));
    case roles::SERVE:
      return RunServe(std::move(control));
    case roles::PLUGIN:
      return RunPlugin(std::move(control));
    default:
      return RunProbe(std::move(control));
  }
}

}  // namespace assay
