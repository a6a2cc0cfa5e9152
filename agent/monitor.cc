// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/monitor.h"

#include <fcntl.h>
#include <linux/capability.h>
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
#include <set>
#include <string>
#include <utility>

#include "agent/log_pipe.h"
#include "agent/privileges.h"
#include "agent/role_files.h"
#include "agent/role_process.h"
#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "rpc/listen_socket.h"

namespace assay {
namespace {

constexpr absl::Duration kStopGrace = absl::Seconds(5);
constexpr mode_t kWorkloadSocketMode = 0777;
constexpr mode_t kAdminSocketMode = 0770;

// The file is opened by LogPipe.
absl::Status OpenMonitorLog(const log::Options& options) {
  return log::Open({.level = options.level,
                    .format = options.format,
                    .file = {},
                    .source_location = options.source_location});
}

// A role, and of plugins' roles which.
using RoleKey = std::pair<roles::Role, uint32_t>;

struct Running {
  const RoleSpec* spec = nullptr;
  RoleKey key;
  std::string name;  // For the log.
  Privileges privileges;
  std::unique_ptr<RoleProcess> process;  // Null while dead.
  absl::Duration started;
  RestartBackoff backoff;
  EventLoop::TimerId restart_timer = 0;
  bool ready = false;
  bool was_ready = false;             // Once, be it before its restart.
  std::map<RoleKey, uint64_t> links;  // The number of the newest to each peer.
};

struct Socket {
  roles::Endpoint endpoint;
  std::string path;
  UniqueFd fd;
};

class Monitor final {
 public:
  Monitor(const MonitorOptions& options, const Clock& clock, EventLoop& loop)
      : options_(options),
        clock_(clock),
        loop_(loop),
        log_(options.log),
        allow_unauthenticated_verifiers_(options.allow_unauthenticated_verifiers),
        log_selectors_(options.log_selectors) {}

  absl::Status Begin();
  int exit_status() const { return exit_status_; }

 private:
  absl::Status WatchSignals();
  absl::Status PreparePrivileges();
  absl::Status PreparePlugin(uint32_t number, const std::set<uid_t>& of_roles);
  absl::Status LetIdentityUse(const User& user);
  void LetIdentityReadAnew(const std::vector<std::string>& files);
  bool ReadsExecutables() const;
  absl::Status Bind(const std::string& path, roles::Endpoint endpoint, mode_t mode);

  absl::Status StartRole(Running& role);
  absl::Status Introduce(Running& role);
  absl::Status LinkRole(const RoleKey& role);
  absl::Status Link(const RoleKey& first, const RoleKey& second);
  roles::Start StartOf(const Running& role) const;
  int SealedStartOf(const Running& role) const;
  int ReloadedStartOf(const Running& role) const;
  absl::Status TellReload(Running& role);
  void Reload(ReloadScope scope);
  void TakeUp(MonitorReload reload);
  void SetLogLevel(int32_t level);
  absl::Status CheckGroups(const User& user) const;
  void Restart(Running& role);

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
  std::vector<Socket> sockets_;
  std::map<RoleKey, Running> roles_;
  std::vector<std::pair<RoleKey, RoleKey>> links_;
  uint64_t last_link_ = 0;
  bool stopping_ = false;
  bool announced_ = false;
  int exit_status_ = 0;
  // Of the newest configuration.
  log::Options log_;
  bool allow_unauthenticated_verifiers_;
  std::vector<std::string> log_selectors_;
  UniqueFd reloaded_start_;  // For the identity role; invalid: as it was started.
  std::vector<MonitorPlugin> reloaded_plugins_;
};

absl::Status Monitor::Begin() {
  RETURN_IF_ERROR(WatchSignals());
  if (!options_.log.file.empty()) {
    ASSIGN_OR_RETURN(log_pipe_, LogPipe::Create(loop_, options_.log.file));
  }
  RETURN_IF_ERROR(Bind(options_.socket_path, roles::WORKLOAD_API, kWorkloadSocketMode));
  RETURN_IF_ERROR(Bind(options_.admin_socket_path, roles::ADMIN, kAdminSocketMode));
  RETURN_IF_ERROR(PreparePrivileges());
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

absl::Status Monitor::PreparePrivileges() {
  const uid_t self = geteuid();
  std::set<uid_t> taken;
  uint64_t capabilities = 0;
  for (const RoleSpec& spec : Roles()) {
    std::optional<User> user;
    if (self == 0) {
      ASSIGN_OR_RETURN(user, FindRoleUser(spec));
      if (!taken.insert(user->uid).second) {
        return FailedPrecondition("user {} is another role's too: each must have its own",
                                  user->name);
      }
    }
    if (spec.role == roles::IDENTITY && user.has_value()) {
      RETURN_IF_ERROR(LetIdentityUse(*user));
    }
    Running& role = roles_[{spec.role, 0}];
    role.spec = &spec;
    role.key = {spec.role, 0};
    role.name = spec.name;
    role.privileges = PrivilegesOf(spec, self, user);
    if (spec.role == roles::PROBE && !ReadsExecutables()) {
      role.privileges.capabilities &= ~(uint64_t{1} << CAP_DAC_READ_SEARCH);
    }
    capabilities |= role.privileges.capabilities;
  }
  for (const RoleLink& link : RoleLinks()) {
    links_.push_back({{link.first, 0}, {link.second, 0}});
  }
  for (uint32_t number = 1; number <= options_.plugins.size(); ++number) {
    RETURN_IF_ERROR(PreparePlugin(number, taken));
    capabilities |= roles_[{roles::PLUGIN, number}].privileges.capabilities;
  }
  return self == 0 ? KeepOnlyMonitorCapabilities(capabilities) : absl::OkStatus();
}

// The identity role's group may read what the operator gave that role.
absl::Status Monitor::CheckGroups(const User& user) const {
  ASSIGN_OR_RETURN(const User identity, FindRoleUser(SpecOf(roles::IDENTITY)));
  if (user.gid == identity.gid ||
      std::find(user.groups.begin(), user.groups.end(), identity.gid) != user.groups.end()) {
    return FailedPrecondition("{} is in the identity role's group", user.name);
  }
  return absl::OkStatus();
}

absl::Status Monitor::PreparePlugin(uint32_t number, const std::set<uid_t>& of_roles) {
  const MonitorPlugin& plugin = options_.plugins[number - 1];
  const std::string name = plugin.plugin.ToString();
  const uid_t self = geteuid();
  std::optional<User> user;
  if (!plugin.user.empty()) {
    absl::StatusOr<User> found = FindNamedUser(plugin.user);
    RETURN_IF_ERROR(WithContext(found.status(), fmt::format("plugin_user of {}", name)));
    if (self != 0 && found->uid != self) {
      return FailedPrecondition("plugin_user of {}: only root can start it as another user", name);
    }
    if (of_roles.contains(found->uid)) {
      return FailedPrecondition("plugin_user of {}: {} is a role's user, with all that it holds",
                                name, plugin.user);
    }
    if (self == 0) {
      RETURN_IF_ERROR(WithContext(CheckGroups(*found), fmt::format("plugin_user of {}", name)));
    }
    user = *std::move(found);
  }
  Running& role = roles_[{roles::PLUGIN, number}];
  role.spec = &SpecOf(roles::PLUGIN);
  role.key = {roles::PLUGIN, number};
  role.name = "plugin " + name;
  role.privileges = PluginPrivileges(*role.spec, self, user);
  if (role.privileges.uid == 0) {
    log::Warn("Plugin runs as root; a plugin_user would give it less", {{"plugin", name}});
  }
  const bool for_probe = plugin.plugin.type == PluginType::kWorkloadAttestor;
  links_.push_back({{for_probe ? roles::PROBE : roles::IDENTITY, 0}, role.key});
  return absl::OkStatus();
}

bool Monitor::ReadsExecutables() const {
  const auto& unix_attestor = options_.unix_attestor;
  return unix_attestor.has_value() && unix_attestor->discover_workload_path &&
         unix_attestor->workload_size_limit >= 0;
}

absl::Status Monitor::LetIdentityUse(const User& user) {
  for (const std::string& file : options_.identity_files) {
    RETURN_IF_ERROR(LetRead(file, user));
  }
  for (const std::string& device : options_.identity_devices) {
    RETURN_IF_ERROR(LetUseTpm(device, user));
  }
  for (const StateFolder& folder : options_.identity_folders) {
    RETURN_IF_ERROR(GiveFolder(folder, user));
  }
  for (const std::string& file : options_.identity_files) {
    RETURN_IF_ERROR(CheckReachable(file, user));
  }
  return absl::OkStatus();
}

// A certificate or key that was renewed is root's alone again. The agent runs on without it.
void Monitor::LetIdentityReadAnew(const std::vector<std::string>& files) {
  if (geteuid() != 0) {
    return;
  }
  const absl::StatusOr<User> user = FindRoleUser(SpecOf(roles::IDENTITY));
  const auto let = [&user](const std::string& file) -> absl::Status {
    RETURN_IF_ERROR(user.status());
    RETURN_IF_ERROR(LetRead(file, *user));
    return CheckReachable(file, *user);
  };
  for (const std::string& file : files) {
    if (const absl::Status status = let(file); !status.ok()) {
      log::Warn("File cannot be made readable for the identity role",
                {{"error", status}, {"file", file}});
    }
  }
}

absl::Status Monitor::Bind(const std::string& path, roles::Endpoint endpoint, mode_t mode) {
  if (path.empty()) {
    return absl::OkStatus();
  }
  absl::StatusOr<UniqueFd> listener = rpc::ListenUnix(path, mode);
  if (listener.status().code() == absl::StatusCode::kAlreadyExists) {
    return FailedPrecondition("another process serves {}: stop it, or choose another socket_path",
                              path);
  }
  RETURN_IF_ERROR(WithContext(listener.status(), fmt::format("listening on {}", path)));
  sockets_.push_back({endpoint, path, std::move(*listener)});
  return absl::OkStatus();
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

absl::Status Monitor::Introduce(Running& role) {
  // The configuration is in a file of its own: it may be long, and hold secrets.
  roles::MonitorToRole start;
  *start.mutable_start() = StartOf(role);
  RETURN_IF_ERROR(role.process->control().Send(start, SealedStartOf(role)));
  if (ReloadedStartOf(role) >= 0) {
    RETURN_IF_ERROR(TellReload(role));
  }
  for (const Socket& socket : sockets_) {
    const auto& endpoints = role.spec->endpoints;
    if (std::find(endpoints.begin(), endpoints.end(), socket.endpoint) != endpoints.end()) {
      roles::MonitorToRole message;
      message.mutable_listen()->set_endpoint(socket.endpoint);
      RETURN_IF_ERROR(role.process->control().Send(message, socket.fd.get()));
    }
  }
  return absl::OkStatus();
}

// The role's own file; -1: it has none.
int Monitor::SealedStartOf(const Running& role) const {
  if (role.spec->role == roles::PLUGIN) {
    return options_.plugins[role.key.second - 1].start.get();
  }
  return role.spec->role == roles::IDENTITY ? options_.identity_start.get() : -1;
}

int Monitor::ReloadedStartOf(const Running& role) const {
  if (role.spec->role != roles::PLUGIN) {
    return role.spec->role == roles::IDENTITY ? reloaded_start_.get() : -1;
  }
  // One that is not configured any more goes on as it is.
  const PluginName& name = options_.plugins[role.key.second - 1].plugin;
  for (const MonitorPlugin& reloaded : reloaded_plugins_) {
    if (reloaded.plugin == name) {
      return reloaded.start.get();
    }
  }
  return -1;
}

roles::Start Monitor::StartOf(const Running& running) const {
  roles::Start start;
  start.mutable_log()->set_level(static_cast<int>(log_.level));
  start.mutable_log()->set_format(static_cast<int>(log_.format));
  start.mutable_log()->set_source_location(log_.source_location);
  const roles::Role role = running.spec->role;
  if (role == roles::IDENTITY) {
    start.mutable_identity()->set_has_served(announced_);
  } else if (role == roles::SERVE) {
    start.mutable_serve()->set_trust_domain(options_.trust_domain);
    start.mutable_serve()->set_allow_unauthenticated_verifiers(allow_unauthenticated_verifiers_);
    start.mutable_serve()->set_disable_workload_api(options_.disable_workload_api);
    start.mutable_serve()->set_started_at(absl::ToUnixSeconds(started_at_));
    start.mutable_serve()->set_launch_log_level(static_cast<int32_t>(options_.log.level));
    start.mutable_serve()->mutable_log_selectors()->Add(log_selectors_.begin(),
                                                        log_selectors_.end());
  } else if (role == roles::PLUGIN) {
    start.mutable_plugin()->set_has_served(running.was_ready);
  } else {
    for (uint32_t number = 1; number <= options_.plugins.size(); ++number) {
      const PluginName& plugin = options_.plugins[number - 1].plugin;
      if (plugin.type == PluginType::kWorkloadAttestor) {
        roles::ProbeStart::Plugin& added = *start.mutable_probe()->add_plugins();
        added.set_number(number);
        added.set_name(plugin.name);
      }
    }
    start.mutable_probe();
    if (options_.unix_attestor.has_value()) {
      roles::ProbeStart::Unix& unix_attestor = *start.mutable_probe()->mutable_unix();
      unix_attestor.set_discover_workload_path(options_.unix_attestor->discover_workload_path);
      unix_attestor.set_workload_size_limit(options_.unix_attestor->workload_size_limit);
    }
  }
  return start;
}

absl::Status Monitor::TellReload(Running& role) {
  roles::MonitorToRole message;
  *message.mutable_reload() = StartOf(role);
  const int file = ReloadedStartOf(role);
  if (SealedStartOf(role) >= 0 && file < 0) {
    message.mutable_reload()->clear_role();  // Nothing new of its own: the log's options alone.
  }
  return role.process->control().Send(message, file);
}

// A role that cannot be told is ended: it is started anew with the new options.
void Monitor::Reload(ReloadScope scope) {
  if (!options_.reload) {
    return;
  }
  const int current =
      reloaded_start_.valid() ? reloaded_start_.get() : options_.identity_start.get();
  absl::StatusOr<MonitorReload> reload = options_.reload(scope, current);
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
  reloaded_start_ = std::move(reload.identity_start);
  reloaded_plugins_ = std::move(reload.plugins);
  allow_unauthenticated_verifiers_ = reload.allow_unauthenticated_verifiers;
  log_selectors_ = reload.log_selectors;
  log_.level = reload.log.level;
  log_.format = reload.log.format;
  log_.source_location = reload.log.source_location;
  if (absl::Status opened = OpenMonitorLog(log_); !opened.ok()) {
    log::Error("Log options were not taken up", {{"error", opened}});
  }
  for (auto& [name, role] : roles_) {
    if (role.process != nullptr && !TellReload(role).ok()) {
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
    } else if (info.ssi_signo == SIGHUP) {
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
  } else {
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
      level == static_cast<int32_t>(log_.level)) {
    return;
  }
  log_.level = static_cast<log::Level>(level);
  log::SetLevel(log_.level);
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
  for (const Socket& socket : sockets_) {
    unlink(socket.path.c_str());
  }
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
