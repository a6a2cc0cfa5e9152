// SPDX-License-Identifier: GPL-3.0-or-later
// The life of a plugin's process, played by shell scripts.
#include "plugins/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "crypto/digest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr int kRounds = 2000;

// A plugin that a script plays.
class FakePlugin {
 public:
  explicit FakePlugin(const std::string& script,
                      absl::Duration handshake_timeout = absl::Minutes(1))
      : loop_(*EventLoop::Create(clock_)) {
    const std::string path = folder_.path() + "/plugin";
    EXPECT_OK(WriteFileAtomically(path, "#!/bin/sh\n" + script + "\n", 0700));
    const absl::StatusOr<PluginProgram> program = PluginProgram::Open(path, "");
    auto started = PluginProcess::Start(
        *loop_, *program,
        {.cookie = "WorkloadAttestor",
         .socket_folder = "/sockets",
         .arguments = {"one", "two words"},
         .handshake_timeout = handshake_timeout},
        {.on_handshake = [this](const auto& address) { handshake = address.status(); },
         .on_log = [this](std::string_view line, bool) { log.emplace_back(line); },
         .on_exit = [this](const std::string& how) { exit = how; }});
    EXPECT_OK(started.status());
    process = *std::move(started);
  }

  template <typename Condition>
  bool Await(Condition condition) {
    for (int i = 0; i < kRounds && !condition(); ++i) {
      loop_->RunOnce(absl::Milliseconds(10));
    }
    return condition();
  }
  bool AwaitExit() {
    return Await([this] { return exit.has_value(); });
  }

  std::optional<absl::Status> handshake;
  std::vector<std::string> log;
  std::optional<std::string> exit;

 private:
  const TempFolder folder_;
  const SystemClock clock_;
  const std::unique_ptr<EventLoop> loop_;

 public:
  std::unique_ptr<PluginProcess> process;
};

TEST(PluginProcessTest, TellsWhereItServesAndWhatItLogs) {
  FakePlugin plugin("echo '1|1|unix|/tmp/s|grpc|'; echo more; echo hello >&2; exec sleep 60");
  ASSERT_TRUE(plugin.Await([&] { return plugin.handshake.has_value() && !plugin.log.empty(); }));
  EXPECT_OK(*plugin.handshake);
  EXPECT_THAT(plugin.log, Contains("hello"));
  EXPECT_TRUE(plugin.process->is_running());
}

TEST(PluginProcessTest, HasTheCookieAndItsArguments) {
  setenv("NOTIFY_SOCKET", "/run/notify", 1);
  setenv("KEPT", "yes", 1);
  FakePlugin plugin(
      "echo \"$#,$2,$WorkloadAttestor,$PLUGIN_PROTOCOL_VERSIONS,$PLUGIN_UNIX_SOCKET_DIR,"
      "$NOTIFY_SOCKET,$KEPT\" >&2");
  ASSERT_TRUE(plugin.AwaitExit());
  EXPECT_THAT(plugin.log, Contains("2,two words,WorkloadAttestor,1,/sockets,,yes"));
}

TEST(PluginProcessTest, WhatHasAChecksumIsExecutedFromMemory) {
  const TempFolder folder;
  const std::string script = folder.path() + "/script";
  ASSERT_OK(WriteFileAtomically(script, "#!/bin/sh\necho \"$@\"\n", 0700));
  for (const std::string& path : {script, std::string("/bin/echo")}) {
    const SystemClock clock;
    const auto loop = *EventLoop::Create(clock);
    const std::string sum =
        crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, *ReadFile(path)));
    const auto program = PluginProgram::Open(path, sum);
    ASSERT_OK(program.status());
    std::string exit;
    absl::Status handshake;
    const auto process = PluginProcess::Start(
        *loop, *program, {.cookie = "C", .socket_folder = "", .arguments = {"one", "two words"}},
        {.on_handshake = [&](const auto& address) { handshake = address.status(); },
         .on_log = [](std::string_view, bool) {},
         .on_exit = [&](const std::string& how) { exit = how; }});
    ASSERT_OK(process.status());
    for (int i = 0; i < kRounds && (exit.empty() || handshake.ok()); ++i) {
      loop->RunOnce(absl::Milliseconds(10));
    }
    EXPECT_EQ(exit, "exit status 0") << path;
    EXPECT_THAT(handshake.message(), HasSubstr("\"one two words\"")) << path;
  }
}

TEST(PluginProcessTest, NoSignalIsIgnoredInIt) {
  signal(SIGTERM, SIG_IGN);
  FakePlugin plugin("kill -TERM $$; echo alive >&2");
  ASSERT_TRUE(plugin.AwaitExit());
  signal(SIGTERM, SIG_DFL);
  EXPECT_EQ(*plugin.exit, "signal 15");
}

TEST(PluginProcessTest, HasNoDescriptorsButItsOutput) {
  const UniqueFd open_fd(dup(STDOUT_FILENO));
  // Besides: the script itself, and what ls opens.
  FakePlugin plugin("for f in /proc/$$/fd/*; do readlink $f; done | grep -c -v pipe: >&2");
  ASSERT_TRUE(plugin.AwaitExit());
  ASSERT_EQ(plugin.log.size(), 1U);
  EXPECT_LE(std::stoi(plugin.log[0]), 3) << "input, and the script once or twice";
}

TEST(PluginProcessTest, AnotherFirstLineIsAnError) {
  FakePlugin plugin("echo 'this is no plugin'; exec sleep 60");
  ASSERT_TRUE(plugin.Await([&] { return plugin.handshake.has_value(); }));
  EXPECT_THAT(*plugin.handshake,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("\"this is no plugin\"")));
}

TEST(PluginProcessTest, ALineWithoutEndIsAnErrorAndNotMemory) {
  FakePlugin plugin("exec tr '\\0' a </dev/zero");
  ASSERT_TRUE(plugin.Await([&] { return plugin.handshake.has_value(); }));
  EXPECT_FALSE(plugin.handshake->ok());
}

TEST(PluginProcessTest, SilenceEndsWithTheTimeout) {
  FakePlugin plugin("exec sleep 60", absl::Milliseconds(20));
  ASSERT_TRUE(plugin.Await([&] { return plugin.handshake.has_value(); }));
  EXPECT_THAT(*plugin.handshake,
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("did not say within 20ms")));
}

TEST(PluginProcessTest, TellsHowItEndedAfterItsLastWords) {
  FakePlugin plugin("echo 'panic: oops' >&2; printf 'no end' >&2; exit 3");
  ASSERT_TRUE(plugin.AwaitExit());
  EXPECT_EQ(*plugin.exit, "exit status 3");
  EXPECT_THAT(plugin.log, testing::ElementsAre("panic: oops", "no end"));
  EXPECT_FALSE(plugin.handshake.has_value());
  EXPECT_FALSE(plugin.process->is_running());
}

TEST(PluginProcessTest, IsKilledWithItsOwner) {
  FakePlugin plugin("exec sleep 60");
  const pid_t pid = plugin.process->pid();
  plugin.process.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(PluginProcessTest, WhatIsNoProgramSaysSoInTheLog) {
  const TempFolder folder;
  const SystemClock clock;
  const auto loop = *EventLoop::Create(clock);
  ASSERT_OK(WriteFileAtomically(folder.path() + "/p", "not a program", 0700));
  const auto program = PluginProgram::Open(folder.path() + "/p", "");
  std::string exit, log;
  const auto process =
      PluginProcess::Start(*loop, *program, {.cookie = "C", .socket_folder = "", .arguments = {}},
                           {.on_handshake = [](const auto&) {},
                            .on_log = [&](std::string_view line, bool) { log = line; },
                            .on_exit = [&](const std::string& how) { exit = how; }});
  ASSERT_OK(process.status());
  for (int i = 0; i < kRounds && exit.empty(); ++i) {
    loop->RunOnce(absl::Milliseconds(10));
  }
  EXPECT_EQ(exit, "exit status 126");
  EXPECT_THAT(log, HasSubstr("executing a plugin failed"));
}

}  // namespace
}  // namespace assay
