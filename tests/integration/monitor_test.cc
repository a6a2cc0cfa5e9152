// SPDX-License-Identifier: GPL-3.0-or-later
// The monitor with its real serve and probe roles, and an identity role that does what its
// configuration says.
#include "agent/monitor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/audit_verifier.h"
#include "agent/role_context.h"
#include "agent/role_main.h"
#include "agent/role_process.h"
#include "agent/sealed_start.h"
#include "assay/roles.pb.h"
#include "base/files.h"
#include "rpc/server.h"
#include "tests/support/http2_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::HasSubstr;

constexpr int kPatienceMs = 20000;

// "exit" ends the agent with 7; "die" dies at once; "rude FILE" breaks the rules of its channel to
// serve unless the file is there; "read FILE" dies when it cannot. Else it grants an identity to
// this user.
class FakeIdentity final : public RoleBody {
 public:
  explicit FakeIdentity(RoleContext& context) : context_(context) {}
  absl::Status OnStart(const roles::Start& start) override {
    if (start.identity().config_text() == "exit") {
      context_.ExitAgent(7, "the test says so");
    } else if (start.identity().config_text() == "die") {
      return Internal("the test says so");
    }
    const std::string& config = start.identity().config_text();
    if (config.starts_with("rude ")) {
      once_ = config.substr(5);
    } else if (config.starts_with("read ")) {
      RETURN_IF_ERROR(ReadFile(config.substr(5)).status());
    }
    user_ = start.identity().arguments(0);
    context_.Ready();
    return absl::OkStatus();
  }
  absl::Status OnLink(roles::Role /*peer*/, UniqueFd channel) override {
    ASSIGN_OR_RETURN(serve_, Channel::Create(
                                 context_.loop(), std::move(channel),
                                 [](std::string_view, UniqueFd) {}, [](const absl::Status&) {}));
    roles::StateChange state;
    if (!once_.empty() && !std::filesystem::exists(once_)) {
      EXPECT_OK(WriteFileAtomically(once_, "", 0600));
      state.set_commit(true);
      return serve_->Send(state, STDIN_FILENO);
    }
    state.set_reset(true);
    state.set_commit(true);
    roles::Entry& entry = *state.add_entries();
    entry.set_id("e");
    entry.set_spiffe_id("spiffe://example.org/e");
    entry.add_selectors()->set_type("unix");
    entry.mutable_selectors(0)->set_value("uid:" + user_);
    roles::Svid& svid = *state.add_svids();
    svid.set_entry_id("e");
    svid.set_chain("chain");
    svid.set_key("key");
    svid.set_expires_at(4'000'000'000);
    state.add_bundles()->set_trust_domain("example.org");
    state.mutable_bundles(0)->set_x509_authorities("roots");
    return serve_->Send(state);
  }

 private:
  RoleContext& context_;
  std::string user_;
  std::string once_;
  std::unique_ptr<Channel> serve_;
};

int RunFakeIdentity(UniqueFd control) {
  auto context = RoleContext::Create(roles::IDENTITY, std::move(control));
  FakeIdentity role(**context);
  return (*context)->Run(role);
}

// An agent whose folders are in a folder of the test's.
class Agent final {
 public:
  struct Options {
    std::string config = "serve";
    bool log_file = false;
  };

  Agent(const std::string& folder, const Options& options) : folder_(folder) {
    // The roles' users must pass, and nobody else may write.
    std::filesystem::permissions(folder, std::filesystem::perms(0755));
    pid_ = fork();
    if (pid_ == 0) {
      // The widest and the narrowest that a service is started with.
      umask(077);
      const std::string log = options.log_file ? folder + "/log" : "";
      execl("/proc/self/exe", "monitor", "monitor", folder.c_str(), options.config.c_str(),
            log.c_str(), nullptr);
      _exit(125);
    }
  }
  ~Agent() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  std::string socket() const { return folder_ + "/run/public/api.sock"; }
  pid_t pid() const { return pid_; }
  void Signal(int number) const { kill(pid_, number); }

  // How it ended.
  std::string Wait() {
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    if (poll(&ended, 1, kPatienceMs) != 1) {
      return "still running";
    }
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return DescribeExit(status);
  }

  // The role's process, when there is one.
  std::optional<pid_t> PidOf(std::string_view role) const {
    std::ifstream children("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) +
                           "/children");
    for (pid_t pid = 0; children >> pid;) {
      std::string name;
      std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
      if (name == "assay-" + std::string(role)) {
        return pid;
      }
    }
    return std::nullopt;
  }
  pid_t AwaitPidOf(std::string_view role, pid_t other_than = 0) const {
    for (int waited = 0; waited < kPatienceMs; waited += 10) {
      const std::optional<pid_t> pid = PidOf(role);
      if (pid.has_value() && *pid != other_than) {
        return *pid;
      }
      poll(nullptr, 0, 10);
    }
    ADD_FAILURE() << "no process of role " << role;
    return 0;
  }

  // What FetchX509SVID's first message has, or the status it ends with; empty: nobody serves.
  std::string FetchOnce() const {
    UniqueFd connection = ConnectUnix(socket());
    if (!connection.valid()) {
      return "";
    }
    Http2Client client(std::move(connection));
    const int32_t stream =
        client.Start("/SpiffeWorkloadAPI/FetchX509SVID", "", {{"workload.spiffe.io", "true"}});
    client.WaitFor(
        [&] { return !client.stream(stream).data.empty() || client.stream(stream).closed; });
    const Http2Client::Stream& answer = client.stream(stream);
    if (answer.data.find("spiffe://example.org/e") != std::string::npos) {
      return "identity";
    }
    return answer.status() == -1 ? ""
                                 : fmt::format("status {}: {}", answer.status(), answer.message());
  }
  // The same, waiting for another answer than that who asks is to try again.
  std::string Fetch() const {
    for (int waited = 0; waited < kPatienceMs; waited += 50) {
      const std::string answer = FetchOnce();
      if (!answer.empty() && !answer.starts_with("status 14")) {
        return answer;
      }
      poll(nullptr, 0, 50);
    }
    return "nothing";
  }

 private:
  const std::string folder_;
  pid_t pid_ = 0;
};

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

std::string StatusLine(pid_t pid, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":\t")) {
      return line.substr(key.size() + 2);
    }
  }
  return "";
}

TEST(MonitorTest, ServesOnASocketThatEveryUserCanReach) {  // WLEP-03
  TempFolder folder;
  Agent agent(folder.path(), {});
  EXPECT_EQ(agent.Fetch(), "identity");
  EXPECT_EQ(ModeOf(agent.socket()), 0777u);
  EXPECT_EQ(ModeOf(folder.path() + "/run"), 0755u);
  EXPECT_EQ(ModeOf(folder.path() + "/run/public"), 0755u);
  EXPECT_EQ(ModeOf(folder.path() + "/run/admin.sock"), 0770u);
}

TEST(MonitorTest, StopsInOrderOnSigterm) {
  TempFolder folder;
  Agent agent(folder.path(), {});
  EXPECT_EQ(agent.Fetch(), "identity");
  const pid_t serve = agent.AwaitPidOf("serve");
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), "exit status 0");
  EXPECT_NE(kill(serve, 0), 0);
  EXPECT_FALSE(std::filesystem::exists(agent.socket()));
}

TEST(MonitorTest, StartsAnewWhatDiesWhileTheSocketStaysBound) {
  TempFolder folder;
  Agent agent(folder.path(), {});
  ASSERT_EQ(agent.Fetch(), "identity");
  for (const char* role : {"serve", "probe", "identity"}) {
    const pid_t before = agent.AwaitPidOf(role);
    kill(before, SIGKILL);
    EXPECT_TRUE(ConnectUnix(agent.socket()).valid()) << role;
    EXPECT_EQ(agent.Fetch(), "identity") << role;
    agent.AwaitPidOf(role, before);
  }
}

TEST(MonitorTest, TakesItsRolesWithIt) {
  TempFolder folder;
  Agent agent(folder.path(), {});
  ASSERT_EQ(agent.Fetch(), "identity");
  std::vector<UniqueFd> pidfds;
  for (const char* role : {"serve", "probe", "identity"}) {
    pidfds.emplace_back(static_cast<int>(syscall(SYS_pidfd_open, agent.AwaitPidOf(role), 0)));
  }
  agent.Signal(SIGKILL);
  agent.Wait();
  for (const UniqueFd& pidfd : pidfds) {
    pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&ended, 1, kPatienceMs), 1);
  }
}

TEST(MonitorTest, ReplacesAStaleSocketAndRefusesALiveOne) {
  TempFolder folder;
  Agent first(folder.path(), {});
  ASSERT_EQ(first.Fetch(), "identity");
  Agent second(folder.path(), {});
  EXPECT_EQ(second.Wait(), "exit status 1");
  EXPECT_EQ(first.Fetch(), "identity");
  first.Signal(SIGKILL);
  first.Wait();
  ASSERT_TRUE(std::filesystem::exists(first.socket()));
  Agent third(folder.path(), {});
  EXPECT_EQ(third.Fetch(), "identity");
}

TEST(MonitorTest, TellsSystemdWhenAllRolesDoTheirWork) {
  TempFolder folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder.path() + "/notify").copy(address.sun_path, sizeof(address.sun_path) - 1);
  const UniqueFd systemd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(systemd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  setenv("NOTIFY_SOCKET", address.sun_path, 1);
  Agent agent(folder.path(), {});
  unsetenv("NOTIFY_SOCKET");
  for (const char* wanted : {"READY=1", "STOPPING=1"}) {
    pollfd told{.fd = systemd.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&told, 1, kPatienceMs), 1);
    char text[64] = {};
    ASSERT_GT(read(systemd.get(), text, sizeof(text) - 1), 0);
    EXPECT_STREQ(text, wanted);
    agent.Signal(SIGTERM);
  }
}

TEST(MonitorTest, EndsWithTheStatusThatIdentityAsksFor) {
  TempFolder folder;
  Agent agent(folder.path(), {.config = "exit"});
  EXPECT_EQ(agent.Wait(), "exit status 7");
}

TEST(MonitorTest, OutlivesARoleThatKeepsDying) {
  TempFolder folder;
  Agent agent(folder.path(), {.config = "die"});
  const pid_t before = agent.AwaitPidOf("identity");
  agent.AwaitPidOf("identity", before);
  agent.Signal(SIGINT);
  EXPECT_EQ(agent.Wait(), "exit status 0");
}

TEST(MonitorTest, RunsEachRoleAsAUserOfItsOwnWithoutPrivileges) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root to become other users";
  }
  TempFolder folder;
  Agent agent(folder.path(), {});
  ASSERT_EQ(agent.Fetch(), "identity");
  for (const RoleSpec& spec : Roles()) {
    const std::string name(spec.name);
    const pid_t pid = agent.AwaitPidOf(name);
    const std::string uid = std::to_string(FindRoleUser(spec)->uid);
    EXPECT_THAT(StatusLine(pid, "Uid"), HasSubstr(uid + "\t" + uid + "\t" + uid)) << name;
    EXPECT_EQ(StatusLine(pid, "NoNewPrivs"), "1") << name;
    // CAP_SYS_PTRACE; executables are not hashed here.
    const bool probe = spec.role == roles::PROBE;
    EXPECT_EQ(StatusLine(pid, "CapEff"), probe ? "0000000000080000" : "0000000000000000");
    EXPECT_EQ(StatusLine(pid, "CapBnd"), probe ? "0000000000080000" : "0000000000000000");
  }
  EXPECT_EQ(StatusLine(agent.AwaitPidOf("serve"), "Groups"), " ");
  // CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP.
  EXPECT_EQ(StatusLine(agent.pid(), "CapEff"), "00000000000001e0");
  struct stat data {};
  ASSERT_EQ(stat((folder.path() + "/data").c_str(), &data), 0);
  EXPECT_EQ(data.st_uid, FindRoleUser(SpecOf(roles::IDENTITY))->uid);
  EXPECT_EQ(data.st_mode & 07777, 0700u);
}

TEST(MonitorTest, LetsIdentityReadAFileThatIsRootsAlone) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root to become other users";
  }
  TempFolder folder;
  const std::string token = folder.path() + "/token";
  ASSERT_OK(WriteFileAtomically(token, "token", 0600));
  Agent agent(folder.path(), {.config = "read " + token});
  EXPECT_EQ(agent.Fetch(), "identity");
  EXPECT_EQ(ModeOf(token), 0640u);
}

TEST(MonitorTest, DoesNotStartWithAStateFolderThatAnybodyWrites) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root to become other users";
  }
  TempFolder folder;
  ASSERT_OK(MakeFolders(folder.path() + "/data", 0755));
  ASSERT_OK(WriteFileAtomically(folder.path() + "/data/agent.conf", "", 0600));
  std::filesystem::permissions(folder.path() + "/data", std::filesystem::perms(0777));
  Agent agent(folder.path(), {});
  EXPECT_EQ(agent.Wait(), "exit status 1");
}

TEST(MonitorTest, EndsARoleThatBreaksTheRulesOfAnothersChannel) {
  TempFolder folder;
  const std::string once = folder.path() + "/data/once";
  Agent agent(folder.path(), {.config = "rude " + once});
  const pid_t rude = agent.AwaitPidOf("identity");
  EXPECT_EQ(agent.Fetch(), "identity");
  EXPECT_NE(agent.AwaitPidOf("identity"), rude);
  EXPECT_TRUE(std::filesystem::exists(once));
}

TEST(MonitorTest, LogsToNoFileThatALinkLeadsTo) {
  TempFolder folder;
  std::filesystem::create_symlink(folder.path() + "/elsewhere", folder.path() + "/log");
  Agent agent(folder.path(), {.log_file = true});
  EXPECT_EQ(agent.Wait(), "exit status 1");
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/elsewhere"));
}

TEST(MonitorTest, WritesTheLogOfAllRolesToItsFileAndReopensIt) {
  TempFolder folder;
  Agent agent(folder.path(), {.log_file = true});
  ASSERT_EQ(agent.Fetch(), "identity");
  const std::string log = folder.path() + "/log";
  std::filesystem::rename(log, log + ".old");
  agent.Signal(SIGUSR2);
  while (!std::filesystem::exists(log)) {
    poll(nullptr, 0, 10);
  }
  // Killed by nobody: it says itself that it broke off.
  kill(agent.AwaitPidOf("probe"), SIGKILL);
  while (ReadFile(log).value().find("signal 9") == std::string::npos) {
    poll(nullptr, 0, 10);
  }
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), "exit status 0");
}

// Waits for a text in a file.
void AwaitIn(const std::string& path, const std::string& text) {
  for (int waited = 0; waited < kPatienceMs; waited += 10) {
    if (ReadFile(path).value_or("").find(text) != std::string::npos) {
      return;
    }
    poll(nullptr, 0, 10);
  }
  ADD_FAILURE() << "no " << text << " in " << ReadFile(path).value_or("no file");
}

std::string VerifyAudit(const std::vector<std::string>& paths) {
  AuditVerifier verifier;
  return std::string(Message(VerifyAuditFiles(paths, verifier)));
}

TEST(MonitorTest, KeepsAnAuditLogThroughDeathsAndARotation) {
  TempFolder folder;
  const std::string log = folder.path() + "/audit.log";
  Agent agent(folder.path(), {.config = "audit"});
  ASSERT_EQ(agent.Fetch(), "identity");
  AwaitIn(log, fmt::format(R"("kind":"x509_svid","service":"WorkloadAPI",)"
                           R"("method":"FetchX509SVID","pid":{},"pid_started":"20)",
                           getpid()));
  AwaitIn(log, R"("entry":"e","spiffe_id":"spiffe://example.org/e",)"
               R"("expires":"2096-10-02T07:06:40Z","previous":")");
  EXPECT_EQ(ModeOf(log), 0600u);
  kill(agent.AwaitPidOf("serve"), SIGKILL);
  EXPECT_EQ(agent.Fetch(), "identity");
  std::filesystem::rename(log, log + ".1");
  agent.Signal(SIGHUP);
  AwaitIn(log, "\"kind\":\"opened\"");
  EXPECT_EQ(agent.Fetch(), "identity");
  AwaitIn(log, "x509_svid");
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), "exit status 0");
  EXPECT_THAT(ReadFile(log).value(), HasSubstr("\"kind\":\"closed\""));
  EXPECT_EQ(VerifyAudit({log + ".1", log}), "");
}

TEST(MonitorTest, WhatServeHandedOutBeforeItDiedIsInTheAuditLog) {
  TempFolder folder;
  const std::string log = folder.path() + "/audit.log";
  Agent agent(folder.path(), {.config = "audit"});
  ASSERT_EQ(agent.Fetch(), "identity");
  AwaitIn(log, "x509_svid");
  // The monitor has not read it when serve dies.
  agent.Signal(SIGSTOP);
  const pid_t serve = agent.AwaitPidOf("serve");
  ASSERT_EQ(agent.FetchOnce(), "identity");
  kill(serve, SIGKILL);
  agent.Signal(SIGCONT);
  agent.AwaitPidOf("serve", serve);
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), "exit status 0");
  const std::string text = ReadFile(log).value();
  const size_t first = text.find("x509_svid");
  EXPECT_NE(text.find("x509_svid", first + 1), std::string::npos) << text;
}

TEST(MonitorTest, HandsOutNothingThatCannotBeWrittenDown) {
  TempFolder folder;
  const std::string log = folder.path() + "/audit.log";
  Agent agent(folder.path(), {.config = "audit"});
  ASSERT_EQ(agent.Fetch(), "identity");
  AwaitIn(log, "x509_svid");
  rlimit before{};
  rlimit full{std::filesystem::file_size(log) + 10, RLIM_INFINITY};
  ASSERT_EQ(prlimit(agent.pid(), RLIMIT_FSIZE, nullptr, &before), 0);
  full.rlim_max = before.rlim_max;
  ASSERT_EQ(prlimit(agent.pid(), RLIMIT_FSIZE, &full, nullptr), 0);
  std::string answer;
  for (int waited = 0; waited < kPatienceMs && !answer.starts_with("status"); waited += 10) {
    answer = agent.FetchOnce();
    poll(nullptr, 0, 10);
  }
  EXPECT_EQ(answer, "status 14: the audit log cannot be written at this time");
  ASSERT_EQ(prlimit(agent.pid(), RLIMIT_FSIZE, &before, nullptr), 0);
  EXPECT_EQ(agent.Fetch(), "identity") << "the disk has room again";
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), "exit status 0");
  EXPECT_EQ(VerifyAudit({log}), "");
}

int RunTestMonitor(char** arguments) {
  const std::string folder = arguments[0];
  MonitorOptions options;
  const std::string config = arguments[1];
  options.identity_start = SealIdentityStart("test", config, {std::to_string(geteuid())}).value();
  options.trust_domain = "example.org";
  options.socket_path = folder + "/run/public/api.sock";
  options.admin_socket_path = folder + "/run/admin.sock";
  options.unix_attestor.emplace();
  options.identity_folders = {{.path = folder + "/data"}};
  if (config.starts_with("read ")) {
    options.identity_files = {config.substr(5)};
  }
  if (config == "audit") {
    options.audit = {.file = folder + "/audit.log"};
  }
  options.log.file = arguments[2];
  return RunMonitor(options);
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "role" && argc == 3) {
    return assay::RunRole(argv[2], assay::RunFakeIdentity);
  }
  if (mode == "monitor" && argc == 5) {
    return assay::RunTestMonitor(argv + 2);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
