// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/monitor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/audit_log.h"
#include "agent/log_pipe.h"
#include "agent/monitor_sockets.h"
#include "agent/privileges.h"
#include "agent/role_plan.h"
#include "agent/role_process.h"
#include "agent/role_starts.h"
#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/clock.h"
#include "base/event_loop.h"

namespace assay {
namespace {

constexpr absl::Duration kStopGrace = absl::Seconds(5);

// The file is opened by LogPipe.
absl::Status OpenMonitorLog(const log::Options& options) {
  return log::Open({.level = options.level,
                    .format = options.format,
                    .file = {},
                    .source_location = options.source_location});
}

// A role that was planned, and what has become of it.
struct Running : PlannedRole {
  std::unique_ptr<RoleProcess> process;  // Null while dead.
  absl::Duration started;
  RestartBackoff backoff;
  EventLoop::TimerId restart_timer = 0;
  bool ready = false;
  bool was_ready = false;             // Once, be it before its restart.
  std::map<RoleKey, uint64_t> links;  // The number of the newest to each peer.
};

class Monitor final {
 public:
  Monitor(const MonitorOptions& options, const Clock& clock, EventLoop& loop)
      : options_(options), clock_(clock), loop_(loop), starts_(options) {}

  absl::Status Begin();
  int exit_status() const { return exit_status_; }

 private:
  absl::Status WatchSignals();
  absl::Status Prepare();
  absl::Status OpenAuditLog();
  void ReopenAuditLog();

  absl::Status StartRole(Running& role);
  absl::Status Introduce(Running& role);
  absl::Status LinkRole(const RoleKey& role);
  absl::Status Link(const RoleKey& first, const RoleKey& second);
  RoleStarts::Progress ProgressOf(const Running& role) const;
  static absl::Status Tell(Running& role, const RoleStarts::Message& message);
  void Reload(ReloadScope scope);
  void TakeUp(MonitorReload reload);
  void SetLogLevel(int32_t level);
  void Restart(Running& role);
  absl::Status TellAuditState(Running& serve) const;

  void OnSignal();
  void OnMessage(Running& role, std::string_view bytes, const UniqueFd& fd);
  void OnReady(Running& role);
  void OnExit(Running& role, const roles::Exit& exit);
  void OnBroken(const Running& accuser, const roles::Broken& broken);
  void Reap();
  void OnDeath(Running& role, int wait_status);
  void BeginStop(int exit_status);
  void FinishStopWhenAllAreDead();

  const MonitorOptions& options_;
  const Clock& clock_;
  const absl::Time started_at_ = clock_.Now();
  EventLoop& loop_;
  UniqueFd signals_;
  std::optional<LogPipe> log_pipe_;
  MonitorSockets sockets_;
  std::map<RoleKey, Running> roles_;
  std::vector<std::pair<RoleKey, RoleKey>> links_;
  uint64_t last_link_ = 0;
  bool stopping_ = false;
  bool announced_ = false;
  int exit_status_ = 0;
  RoleStarts starts_;
  std::unique_ptr<AuditLog> audit_;  // Null: there is none.
};

absl::Status Monitor::Begin() {
  RETURN_IF_ERROR(WatchSignals());
  if (!options_.log.file.empty()) {
    ASSIGN_OR_RETURN(log_pipe_, LogPipe::Create(loop_, options_.log.file));
  }
  RETURN_IF_ERROR(sockets_.Bind(options_));
  RETURN_IF_ERROR(Prepare());
  RETURN_IF_ERROR(OpenAuditLog());
  for (auto& [role, running] : roles_) {
    RETURN_IF_ERROR(StartRole(running));
  }
  for (const auto& [first, second] : links_) {
    RETURN_IF_ERROR(Link(first, second));
  }
  return absl::OkStatus();
}

absl::Status Monitor::WatchSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2}) {
    sigaddset(&set, number);
  }
  // Also for the others, so that a write to a closed pipe is an error and not the end.
  signal(SIGPIPE, SIG_IGN);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return ErrnoStatus(errno, "blocking signals");
  }
  signals_.Reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) {
    return ErrnoStatus(errno, "watching for signals");
  }
  return loop_.Watch(signals_.get(), EPOLLIN, [this](uint32_t) { OnSignal(); });
}

absl::Status Monitor::Prepare() {
  ASSIGN_OR_RETURN(RolePlan plan, PlanRoles(options_));
  uint64_t capabilities = 0;
  for (PlannedRole& role : plan.roles) {
    capabilities |= role.privileges.capabilities;
    static_cast<PlannedRole&>(roles_[role.key]) = std::move(role);
  }
  links_ = std::move(plan.links);
  return geteuid() == 0 ? KeepOnlyMonitorCapabilities(capabilities) : absl::OkStatus();
}

// Its thread has what capabilities the monitor has by then.
absl::Status Monitor::OpenAuditLog() {
  if (!options_.audit.has_value()) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(audit_, AuditLog::Create(loop_, clock_, options_.audit->file, [this] {
                     Running& serve = roles_[{roles::SERVE, 0}];
                     if (serve.process != nullptr && !TellAuditState(serve).ok()) {
                       serve.process->Kill();
                     }
                   }));
  return absl::OkStatus();
}

void Monitor::ReopenAuditLog() {
  if (audit_ != nullptr) {
    audit_->Reopen();
  }
}

absl::Status Monitor::TellAuditState(Running& serve) const {
  roles::MonitorToRole message;
  *message.mutable_audit() = audit_->state();
  return serve.process->control().Send(message);
}

absl::Status Monitor::StartRole(Running& role) {
  const RoleProgram program{
      .executable = options_.executable,
      .name = options_.program_name,
      .log_fd = log_pipe_.has_value() ? log_pipe_->writer() : -1,
  };
  role.ready = false;
  role.started = clock_.SinceBoot();
  ASSIGN_OR_RETURN(role.process,
                   RoleProcess::Start(*role.spec, program, role.privileges, loop_,
                                      [this, &role](std::string_view bytes, UniqueFd fd) {
                                        OnMessage(role, bytes, fd);
                                      }));
  return Introduce(role);
}

RoleStarts::Progress Monitor::ProgressOf(const Running& role) const {
  return {.agent_has_served = announced_,
          .role_was_ready = role.was_ready,
          .agent_started = started_at_};
}

absl::Status Monitor::Tell(Running& role, const RoleStarts::Message& message) {
  return role.process->control().Send(message.message, message.file);
}

absl::Status Monitor::Introduce(Running& role) {
  const RoleStarts::Progress progress = ProgressOf(role);
  RETURN_IF_ERROR(Tell(role, starts_.Start(role.key, progress)));
  if (const auto reloaded = starts_.Reloaded(role.key, progress); reloaded.has_value()) {
    RETURN_IF_ERROR(Tell(role, *reloaded));
  }
  if (audit_ != nullptr && role.spec->role == roles::SERVE) {
    audit_->BeginSource();
    RETURN_IF_ERROR(TellAuditState(role));
  }
  for (const MonitorSockets::Socket& socket : sockets_.all()) {
    const auto& endpoints = role.spec->endpoints;
    if (std::find(endpoints.begin(), endpoints.end(), socket.endpoint) != endpoints.end()) {
      roles::MonitorToRole message;
      message.mutable_listen()->set_endpoint(socket.endpoint);
      RETURN_IF_ERROR(role.process->control().Send(message, socket.fd.get()));
    }
  }
  return absl::OkStatus();
}

// A role that cannot be told is ended: it is started anew with the new options.
void Monitor::Reload(ReloadScope scope) {
  if (!options_.reload) {
    return;
  }
  absl::StatusOr<MonitorReload> reload = options_.reload(scope, starts_.identity_start());
  if (!reload.ok()) {
    log::Error("Configuration was not reloaded", {{"error", reload.status()}});
    return;
  }
  LetIdentityReadAnew(reload->identity_files);
  for (const std::string& option : reload->pending) {
    log::Warn("Option has changed and needs a restart of the agent", {{"option", option}});
  }
  if (reload->changed.empty()) {
    log::Info("Configuration has no changes to take up");
    return;
  }
  const std::string changed = fmt::format("{}", fmt::join(reload->changed, ", "));
  TakeUp(*std::move(reload));
  log::Info("Configuration reloaded", {{"options", changed}});
}

void Monitor::TakeUp(MonitorReload reload) {
  starts_.TakeUp(std::move(reload));
  if (absl::Status opened = OpenMonitorLog(starts_.log()); !opened.ok()) {
    log::Error("Log options were not taken up", {{"error", opened}});
  }
  for (auto& [name, role] : roles_) {
    if (role.process != nullptr && !Tell(role, starts_.Reload(role.key, ProgressOf(role))).ok()) {
      role.process->Kill();
    }
  }
}

// Gives the role and each running partner of it the ends of a new channel.
absl::Status Monitor::LinkRole(const RoleKey& role) {
  for (const auto& [first, second] : links_) {
    if (first == role || second == role) {
      RETURN_IF_ERROR(Link(first, second));
    }
  }
  return absl::OkStatus();
}

absl::Status Monitor::Link(const RoleKey& first_key, const RoleKey& second_key) {
  Running& first = roles_[first_key];
  Running& second = roles_[second_key];
  if (first.process == nullptr || second.process == nullptr) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(auto ends, Channel::MakePair());
  ++last_link_;
  const auto tell = [this](Running& role, const RoleKey& peer, int end) {
    role.links[peer] = last_link_;
    roles::MonitorToRole message;
    message.mutable_link()->set_number(last_link_);
    message.mutable_link()->set_peer(peer.first);
    message.mutable_link()->set_plugin(peer.second);
    return role.process->control().Send(message, end);
  };
  RETURN_IF_ERROR(tell(first, second_key, ends.first.get()));
  return tell(second, first_key, ends.second.get());
}

void Monitor::OnSignal() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGCHLD) {
      Reap();
    } else if (info.ssi_signo == SIGUSR2) {
      if (log_pipe_.has_value()) {
        log_pipe_->Reopen();
      }
      ReopenAuditLog();
    } else if (info.ssi_signo == SIGHUP) {
      ReopenAuditLog();
      Reload(ReloadScope::kAll);
    } else if (info.ssi_signo == SIGUSR1) {
      log::Info("Reconfigure signal received", {{"subsystem_name", "reconfigurer"}});
      Reload(ReloadScope::kPluginFiles);
    } else {
      BeginStop(0);
    }
  }
}

void Monitor::OnMessage(Running& role, std::string_view bytes, const UniqueFd& fd) {
  roles::RoleToMonitor message;
  absl::Status permitted =
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) && !fd.valid()
          ? CheckPermitted(role.spec->role, roles::MONITOR, message.what_case())
          : InvalidArgument("a message that does not parse, or with a descriptor");
  if (permitted.ok() && message.has_handed_out()) {
    permitted = audit_ == nullptr ? FailedPrecondition("there is no audit log")
                                  : audit_->Take(std::move(*message.mutable_handed_out()));
  }
  if (!permitted.ok()) {
    log::Error("Role broke the rules and is ended", {{"role", role.name}, {"error", permitted}});
    role.process->Kill();
    return;
  }
  if (message.has_ready()) {
    OnReady(role);
  } else if (message.has_broken()) {
    OnBroken(role, message.broken());
  } else if (message.has_log_level()) {
    SetLogLevel(message.log_level());
  } else if (message.has_exit()) {
    OnExit(role, message.exit());
  }
}

// A plugin may end the agent when it cannot be begun with, and not later.
void Monitor::OnExit(Running& role, const roles::Exit& exit) {
  if (role.spec->role == roles::PLUGIN && role.was_ready) {
    role.process->Kill();
    return;
  }
  log::Debug("A role ends the agent", {{"role", role.name}, {"reason", exit.reason()}});
  BeginStop(role.spec->role == roles::PLUGIN ? 1 : exit.code());
}

void Monitor::SetLogLevel(int32_t level) {
  if (level < static_cast<int32_t>(log::Level::kDebug) ||
      level > static_cast<int32_t>(log::Level::kError) ||
      level == static_cast<int32_t>(starts_.log().level)) {
    return;
  }
  starts_.SetLogLevel(static_cast<log::Level>(level));
  log::SetLevel(starts_.log().level);
  roles::MonitorToRole message;
  message.set_log_level(level);
  for (auto& [name, role] : roles_) {
    if (role.process != nullptr && !role.process->control().Send(message).ok()) {
      role.process->Kill();
    }
  }
}

void Monitor::OnReady(Running& role) {
  role.ready = role.was_ready = true;
  const bool all = std::all_of(roles_.begin(), roles_.end(),
                               [](const auto& entry) { return entry.second.ready; });
  if (all && !std::exchange(announced_, true)) {
    sd_notify(/*unset_environment=*/0, "READY=1");
  }
}

// Its restart links it anew. What has been linked anew since is not meant, nor what is dead.
void Monitor::OnBroken(const Running& accuser, const roles::Broken& broken) {
  const RoleKey key(broken.peer(), broken.plugin());
  const auto link = accuser.links.find(key);
  if (link == accuser.links.end() || link->second != broken.link()) {
    return;
  }
  // Not for the sake of a plugin: its role reads what a stranger's program says.
  Running& peer = roles_[accuser.spec->role == roles::PLUGIN ? accuser.key : key];
  if (peer.process != nullptr) {
    log::Error("Role is ended for the sake of another that cannot talk to it",
               {{"role", peer.name}, {"told_by", accuser.name}});
    peer.process->Kill();
  }
}

void Monitor::Reap() {
  // One signal may stand for several children, and some may be orphans given to us as process 1.
  for (siginfo_t ended{};
       waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0;
       ended = {}) {
    const auto role = std::find_if(roles_.begin(), roles_.end(), [&ended](const auto& entry) {
      return entry.second.process != nullptr && entry.second.process->pid() == ended.si_pid;
    });
    if (role == roles_.end()) {
      waitpid(ended.si_pid, nullptr, 0);
    } else {
      OnDeath(role->second, role->second.process->Reap());
    }
  }
  if (stopping_) {
    FinishStopWhenAllAreDead();
  }
}

void Monitor::OnDeath(Running& role, int wait_status) {
  if (audit_ != nullptr) {
    // What it handed out before is told, though that be by what it said last.
    role.process->control().ReadAll();
  }
  role.process.reset();
  // A plugin may take its time to say that it will not do.
  const bool lived = role.ready || role.spec->role != roles::PLUGIN;
  role.ready = false;
  if (stopping_) {
    return;
  }
  const absl::Duration delay =
      role.backoff.Next(lived ? clock_.SinceBoot() - role.started : absl::ZeroDuration());
  log::Error("Role died and is started anew", {{"role", role.name},
                                               {"cause", DescribeExit(wait_status)},
                                               {"delay", absl::FormatDuration(delay)}});
  role.restart_timer = loop_.After(delay, [this, &role] { Restart(role); });
}

void Monitor::Restart(Running& role) {
  role.restart_timer = 0;
  absl::Status started = StartRole(role);
  if (started.ok()) {
    started = LinkRole(role.key);
  }
  if (!started.ok()) {
    // Out of processes or descriptors: the backoff grows, as after a death.
    log::Error("Starting a role failed", {{"role", role.name}, {"error", started}});
    role.process.reset();
    role.restart_timer =
        loop_.After(role.backoff.Next(absl::ZeroDuration()), [this, &role] { Restart(role); });
  }
}

void Monitor::BeginStop(int exit_status) {
  if (std::exchange(stopping_, true)) {
    return;
  }
  exit_status_ = exit_status;
  sd_notify(/*unset_environment=*/0, "STOPPING=1");
  roles::MonitorToRole message;
  message.mutable_stop();
  for (auto& [name, role] : roles_) {
    loop_.Cancel(role.restart_timer);
    if (role.process != nullptr && !role.process->control().Send(message).ok()) {
      role.process->Kill();
    }
  }
  loop_.After(kStopGrace, [this] {
    for (auto& [name, role] : roles_) {
      if (role.process != nullptr) {
        log::Warn("Role did not stop in time and is killed", {{"role", role.name}});
        role.process->Kill();
      }
    }
  });
  FinishStopWhenAllAreDead();
}

void Monitor::FinishStopWhenAllAreDead() {
  for (const auto& [name, role] : roles_) {
    if (role.process != nullptr) {
      return;
    }
  }
  sockets_.Unlink();
  if (exit_status_ == 0) {
    log::Info("Agent stopped gracefully");
  }
  loop_.Stop();
}

}  // namespace

int RunMonitor(const MonitorOptions& options) {
  // A descriptor of the agent's must not become its standard output.
  for (int fd = 0; fd >= 0 && fd <= STDERR_FILENO;) {
    fd = open("/dev/null", O_RDWR | O_NOCTTY);
    if (fd > STDERR_FILENO) {
      close(fd);
    }
  }
  // Passwords have passed through this memory: no core file, and nobody but root looks into it.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const SystemClock clock;
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create(clock);
  absl::Status begun = loop.status();
  if (begun.ok()) {
    begun = OpenMonitorLog(options.log);
  }
  if (!begun.ok()) {
    log::Error("Agent cannot start", {{"error", begun}});
    return 1;
  }
  Monitor monitor(options, clock, **loop);
  begun = monitor.Begin();
  if (!begun.ok()) {
    log::Error("Agent cannot start", {{"error", begun}});
    return 1;
  }
  (*loop)->Run();
  return monitor.exit_status();
}

}  // namespace assay
