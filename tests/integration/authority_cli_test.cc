// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of assay-authority against a running upstream: assay-authority itself, and SPIRE
// Server, whose API it speaks. The latter is found by ASSAY_SPIRE_SERVER or on the path; its half
// is skipped where there is none.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/files.h"
#include "base/unique_fd.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr absl::Duration kStartTimeout = absl::Seconds(60);
constexpr std::string_view kNode = "-parentID spiffe://example.org/node";

struct Outcome {
  int code = -1;
  std::string out, err;
};

uint16_t FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  return ntohs(address.sin_port);
}

// The program of an upstream, empty where there is none.
std::string ProgramOf(std::string_view upstream) {
  if (upstream == "assay-authority") {
    return ASSAY_AUTHORITY_PROGRAM;
  }
  if (const char* named = std::getenv("ASSAY_SPIRE_SERVER"); named != nullptr) {
    return named;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string program = std::string(rest.substr(0, end)) + "/spire-server";
    if (access(program.c_str(), X_OK) == 0) {
      return program;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "";
}

// A process that runs an upstream, ended with this object.
class UpstreamProcess final {
 public:
  UpstreamProcess(const std::string& program, const std::string& config, const std::string& log) {
    pid_ = fork();
    if (pid_ == 0) {
      const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      dup2(out, STDOUT_FILENO);
      dup2(out, STDERR_FILENO);
      execl(program.c_str(), program.c_str(), "run", "-config", config.c_str(), nullptr);
      _exit(127);
    }
  }
  ~UpstreamProcess() {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      waitpid(pid_, nullptr, 0);
    }
  }
  UpstreamProcess(const UpstreamProcess&) = delete;
  UpstreamProcess& operator=(const UpstreamProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool HasEnded() {
    if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
    }
    return pid_ < 0;
  }

 private:
  pid_t pid_ = -1;
};

class AuthorityCliTest : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    const std::string program = ProgramOf(GetParam());
    if (program.empty()) {
      GTEST_SKIP() << "no spire-server by ASSAY_SPIRE_SERVER or on the path";
    }
    ASSERT_OK(WriteFileAtomically(In("server.conf"), Config(), 0600));
    upstream_.emplace(program, In("server.conf"), In("log"));
    const SystemClock clock;
    const absl::Duration deadline = clock.SinceBoot() + kStartTimeout;
    while (Invoke("healthcheck").code != 0) {
      if (clock.SinceBoot() > deadline || upstream_->HasEnded()) {
        FAIL() << "upstream did not start:\n" << ReadFile(In("log")).value_or("no log");
      }
      poll(nullptr, 0, 20);
    }
  }

  std::string In(std::string_view name) const { return fmt::format("{}/{}", folder_.path(), name); }

  // Runs assay-authority with these arguments, as a shell reads them, at the upstream's socket.
  Outcome Invoke(const std::string& arguments) const {
    Outcome outcome;
    const std::string command =
        fmt::format("'{}' {} -socketPath '{}' 2>'{}'", ASSAY_AUTHORITY_PROGRAM, arguments,
                    In("api.sock"), In("err"));
    FILE* pipe = popen(command.c_str(), "r");
    char buffer[4096];
    for (size_t size; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
      outcome.out.append(buffer, size);
    }
    const int status = pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.err = ReadFile(In("err")).value_or("");
    return outcome;
  }

  // A file of the upstream's process in /proc.
  std::string OfUpstream(std::string_view file) const {
    return ReadFile(fmt::format("/proc/{}/{}", upstream_->pid(), file)).value_or("");
  }

  nlohmann::json InvokeForJson(const std::string& arguments) const {
    const Outcome outcome = Invoke(arguments + " -output json");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    auto json = nlohmann::json::parse(outcome.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << outcome.out;
    return json;
  }

 private:
  std::string Config() const {
    return fmt::format(
        "server {{ bind_address = \"127.0.0.1\" bind_port = \"{}\" trust_domain = \"example.org\"\n"
        "data_dir = \"{}\" socket_path = \"{}\" log_level = \"warn\" }}\n"
        "plugins {{ DataStore \"sql\" {{ plugin_data {{ database_type = \"sqlite3\"\n"
        "connection_string = \"{}\" }} }}\n"
        "KeyManager \"disk\" {{ plugin_data {{ keys_path = \"{}\" }} }}\n"
        "NodeAttestor \"join_token\" {{ plugin_data {{}} }} }}\n",
        FreePort(), In("data"), In("api.sock"), In("data/datastore.sqlite3"), In("data/keys.json"));
  }

  const TempFolder folder_;
  std::optional<UpstreamProcess> upstream_;
};

INSTANTIATE_TEST_SUITE_P(Upstreams, AuthorityCliTest,
                         testing::Values("assay-authority", "spire-server"),
                         [](const auto& upstream) {
                           return upstream.param == "spire-server" ? "SpireServer"
                                                                   : "AssayAuthority";
                         });

TEST_P(AuthorityCliTest, SaysThatAHealthyUpstreamIsHealthy) {
  EXPECT_EQ(Invoke("healthcheck -verbose").out, "Checking server health...\nServer is healthy.\n");
}

TEST_P(AuthorityCliTest, LeavesNoCoreAndGainsNoPrivileges) {
  if (GetParam() != "assay-authority") {
    GTEST_SKIP() << "speaks of assay-authority's process";
  }
  EXPECT_THAT(OfUpstream("limits"), ContainsRegex("Max core file size +0 +0 "));
  EXPECT_THAT(OfUpstream("status"), HasSubstr("NoNewPrivs:\t1\n"));
}

TEST_P(AuthorityCliTest, MakesJoinTokens) {
  EXPECT_THAT(Invoke("token generate").out,
              MatchesRegex("Token: [0-9a-f-]{36}\nWarning: Missing SPIFFE ID.\n"));
  EXPECT_THAT(Invoke("token generate --spiffeID=spiffe://example.org/node").out,
              MatchesRegex("Token: [0-9a-f-]{36}\n"));
  const auto json = InvokeForJson("token generate -ttl 60");
  EXPECT_THAT(json["value"].get<std::string>(), MatchesRegex("[0-9a-f-]{36}"));
  EXPECT_THAT(json["expires_at"].get<std::string>(), MatchesRegex("[0-9]+"));
}

TEST_P(AuthorityCliTest, ATokenNeedsALifetimeAndAnIdOfTheTrustDomain) {
  const Outcome no_ttl = Invoke("token generate -ttl 0");
  EXPECT_EQ(no_ttl.code, 1);
  EXPECT_EQ(no_ttl.err,
            "Error: rpc error: code = InvalidArgument desc = ttl is required, you must provide "
            "one\n");
  EXPECT_THAT(Invoke("token generate -spiffeID spiffe://other.test/x").err,
              StartsWith("Error: rpc error: code = InvalidArgument desc = "));
}

TEST_P(AuthorityCliTest, PrintsTheEntryThatItCreates) {
  const Outcome created = Invoke(fmt::format(
      "entry create {} -spiffeID spiffe://example.org/web -selector unix:uid:0 -selector "
      "unix:gid:5 -entryID e1 -dns a.test -x509SVIDTTL 60 -hint h -admin -jwtSVIDIncludeJTI",
      kNode));
  EXPECT_EQ(created.code, 0) << created.err;
  constexpr std::string_view kText =
      "Entry ID                : e1\n"
      "SPIFFE ID               : spiffe://example.org/web\n"
      "Parent ID               : spiffe://example.org/node\n"
      "Revision                : 0\n"
      "X509-SVID TTL           : 60\n"
      "JWT-SVID TTL            : default\n"
      "Selector                : unix:gid:5\n"
      "Selector                : unix:uid:0\n"
      "DNS name                : a.test\n"
      "Admin                   : true\n"
      "Hint                    : h\n"
      "JwtSvidIncludeJti       : true\n\n";
  EXPECT_EQ(created.out, kText);
  EXPECT_EQ(Invoke("entry show -entryID e1").out, fmt::format("Found 1 entry\n{}", kText));
  EXPECT_EQ(Invoke("entry show -selector unix:uid:0").out, fmt::format("Found 1 entry\n{}", kText));
  EXPECT_EQ(Invoke("entry show -selector unix:uid:0 -matchSelectorsOn exact").out,
            "Found 0 entries\n");
}

TEST_P(AuthorityCliTest, ANodeEntryHasTheUpstreamAsItsParent) {
  EXPECT_THAT(Invoke("entry create -node -spiffeID spiffe://example.org/n -selector a:b").out,
              HasSubstr("Parent ID               : spiffe://example.org/spire/server\n"));
}

TEST_P(AuthorityCliTest, AnEntryThatExistsIsNotCreatedAgain) {
  const std::string create =
      fmt::format("entry create {} -spiffeID spiffe://example.org/web -selector unix:uid:0", kNode);
  ASSERT_EQ(Invoke(create).code, 0);
  const Outcome again = Invoke(create);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err,
              AllOf(StartsWith("Failed to create the following entry (code: AlreadyExists, msg: "
                               "\"similar entry already exists\"):\nEntry ID                : "),
                    HasSubstr("\nError: failed to create one or more entries\n")));
  const auto json = InvokeForJson(create);
  EXPECT_EQ(json["results"][0]["status"]["code"], 6);
  EXPECT_EQ(json["results"][0]["entry"]["spiffe_id"]["path"], "/web");
}

TEST_P(AuthorityCliTest, UpdatesAnEntryAndKeepsTheAttributesThatNoFlagNames) {
  const std::string fields =
      fmt::format("-entryID e1 {} -spiffeID spiffe://example.org/web -selector unix:uid:0", kNode);
  ASSERT_EQ(Invoke("entry create -disableX509SVIDPrefetch " + fields).code, 0);
  const Outcome updated = Invoke("entry update -jwtSVIDIncludeJTI -hint new " + fields);
  EXPECT_EQ(updated.code, 0) << updated.err;
  EXPECT_THAT(updated.out, AllOf(HasSubstr("Revision                : 1\n"),
                                 HasSubstr("Hint                    : new\n"
                                           "DisableX509SvidPrefetch : true\n"
                                           "JwtSvidIncludeJti       : true\n")));
  const Outcome absent = Invoke(fmt::format(
      "entry update -entryID none {} -spiffeID spiffe://example.org/x -selector a:b", kNode));
  EXPECT_EQ(absent.code, 1);
  EXPECT_THAT(absent.err, StartsWith("Failed to update the following entry (code: NotFound, "));
}

TEST_P(AuthorityCliTest, DeletesEntriesAndSaysWhichItCouldNot) {
  ASSERT_EQ(Invoke(fmt::format("entry create -entryID e1 {} -spiffeID spiffe://example.org/web "
                               "-selector unix:uid:0",
                               kNode))
                .code,
            0);
  ASSERT_OK(WriteFileAtomically(In("ids.json"), R"({"ids": ["e1", "none"]})", 0600));
  const Outcome deleted = Invoke(fmt::format("entry delete -file {}", In("ids.json")));
  EXPECT_EQ(deleted.code, 1);
  EXPECT_EQ(deleted.out,
            "Deleted entry with ID: e1\n\n\n\n\n"
            "Deleted 1 entries successfully, but failed to delete 1 entries\n");
  EXPECT_EQ(deleted.err,
            "Failed to delete entry with ID none (code: NotFound, msg: \"entry not found\")\n"
            "Error: failed to delete one or more entries\n");
  EXPECT_EQ(Invoke("entry count").out, "0 registration entries\n");
}

TEST_P(AuthorityCliTest, CreatesMoreEntriesThanOneMessageHolds) {
  constexpr int kEntries = 1100;
  nlohmann::json file = {{"entries", nlohmann::json::array()}};
  for (int i = 0; i < kEntries; ++i) {
    file["entries"].push_back(
        {{"spiffe_id", fmt::format("spiffe://example.org/w{}", i)},
         {"parent_id", "spiffe://example.org/node"},
         {"selectors", {{{"type", "unix"}, {"value", fmt::format("uid:{}", i)}}}}});
  }
  ASSERT_OK(WriteFileAtomically(In("entries.json"), file.dump(), 0600));
  const Outcome created =
      Invoke(fmt::format("entry create -data - -output json < {}", In("entries.json")));
  EXPECT_EQ(created.code, 0) << created.err;
  const auto json = nlohmann::json::parse(created.out, nullptr, false);
  EXPECT_EQ(json["results"].size(), kEntries);
  EXPECT_EQ(Invoke("entry count").out, fmt::format("{} registration entries\n", kEntries));
  EXPECT_EQ(InvokeForJson("entry show")["entries"].size(), kEntries);
}

TEST_P(AuthorityCliTest, SpeaksOfAgentsThatAreNotThere) {
  EXPECT_EQ(Invoke("agent list").out, "No attested agents found\n");
  EXPECT_EQ(InvokeForJson("agent list").dump(), R"({"agents":[],"next_page_token":""})");
  EXPECT_EQ(Invoke("agent count").out, "0 attested agents\n");
  EXPECT_EQ(Invoke("agent purge -expiredFor 1h").out, "No agents to purge.\n");
  EXPECT_EQ(InvokeForJson("agent purge -dryRun").dump(), R"({"expired_agents":[]})");
  for (std::string_view verb : {"show", "ban", "evict"}) {
    const Outcome outcome =
        Invoke(fmt::format("agent {} -spiffeID spiffe://example.org/spire/agent/x", verb));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.err, "Error: rpc error: code = NotFound desc = agent not found\n") << verb;
  }
}

TEST_P(AuthorityCliTest, ShowsTheBundleInThreeForms) {
  EXPECT_THAT(Invoke("bundle show").out, StartsWith("-----BEGIN CERTIFICATE-----\n"));
  const auto document =
      nlohmann::json::parse(Invoke("bundle show -format spiffe").out, nullptr, false);
  ASSERT_EQ(document["keys"].size(), 2);
  EXPECT_TRUE(document["spiffe_sequence"].is_number());
  const auto json = InvokeForJson("bundle show");
  EXPECT_EQ(json["trust_domain"], "example.org");
  EXPECT_EQ(json["x509_authorities"].size(), 1);
  EXPECT_EQ(Invoke("bundle show -format der").err, "Error: invalid format: \"der\"\n");
}

TEST_P(AuthorityCliTest, MintsAnX509SvidThatTheBundleVerifies) {
  SKIP_WITHOUT_OPENSSL();
  std::filesystem::create_directory(In("out"));
  const Outcome minted = Invoke(fmt::format(
      "x509 mint -spiffeID spiffe://example.org/web -dns a.test -ttl 5m -write {}", In("out")));
  EXPECT_EQ(minted.code, 0) << minted.err;
  EXPECT_EQ(minted.out, fmt::format("X509-SVID written to {0}/svid.pem\n"
                                    "Private key written to {0}/key.pem\n"
                                    "Root CAs written to {0}/bundle.pem\n",
                                    In("out")));
  struct stat key = {};
  ASSERT_EQ(stat(In("out/key.pem").c_str(), &key), 0);
  EXPECT_EQ(key.st_mode & 0777, 0600);
  const CommandResult verified =
      RunOpenssl(fmt::format("verify -CAfile {0}/bundle.pem {0}/svid.pem", In("out")));
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  EXPECT_THAT(RunOpenssl("x509 -noout -ext subjectAltName -in " + In("out/svid.pem")).output,
              AllOf(HasSubstr("URI:spiffe://example.org/web"), HasSubstr("DNS:a.test")));
  EXPECT_EQ(RunOpenssl("x509 -noout -pubkey -in " + In("out/svid.pem")).output,
            RunOpenssl("pkey -pubout -in " + In("out/key.pem")).output);
}

TEST_P(AuthorityCliTest, MintsAJwtSvid) {
  const Outcome minted =
      Invoke("jwt mint -spiffeID spiffe://example.org/web -audience x -audience y -ttl 1m");
  EXPECT_EQ(minted.code, 0) << minted.err;
  EXPECT_EQ(std::count(minted.out.begin(), minted.out.end(), '.'), 2) << minted.out;
  const auto json = InvokeForJson("jwt mint -spiffeID spiffe://example.org/web -audience x");
  EXPECT_EQ(json["svid"]["id"]["path"], "/web");
  const Outcome written = Invoke(fmt::format(
      "jwt mint -spiffeID spiffe://example.org/web -audience x -write {}", In("token")));
  EXPECT_EQ(written.out, fmt::format("JWT-SVID written to {}\n", In("token")));
  struct stat token = {};
  ASSERT_EQ(stat(In("token").c_str(), &token), 0);
  EXPECT_EQ(token.st_mode & 0777, 0600);
  EXPECT_EQ(Invoke("jwt mint -spiffeID spiffe://example.org/web").err,
            "Error: at least one audience must be specified\n");
  EXPECT_EQ(Invoke("jwt mint -audience x").err, "Error: spiffeID must be specified\n");
}

TEST_P(AuthorityCliTest, MintsAnX509SvidAsJson) {
  const auto json = InvokeForJson("x509 mint -spiffeID spiffe://example.org/web");
  EXPECT_EQ(json["x509_svid"].size(), 1);
  EXPECT_FALSE(json["private_key"].get<std::string>().empty());
  EXPECT_EQ(json["root_cas"].size(), 1);
  EXPECT_THAT(Invoke("x509 mint -spiffeID spiffe://other.test/web").err,
              StartsWith("Error: unable to mint SVID: rpc error: code = InvalidArgument desc = "));
}

}  // namespace
}  // namespace assay
