// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// What a command line without an upstream does.
struct Outcome {
  int code = 0;
  std::string out, err;
  std::string served;  // The trust domain that was served, empty for none.
};

Outcome Invoke(const std::vector<std::string>& arguments, std::string_view socket_template = "",
               std::string_view socket = "") {
  std::istringstream in;
  std::ostringstream out, err;
  FakeClock clock;
  Outcome outcome;
  const CliHost host{.streams = {.in = in, .out = out, .err = err},
                     .clock = clock,
                     .socket = std::string(socket),
                     .socket_template = std::string(socket_template),
                     .serve = [&outcome](const AuthorityOptions& options) {
                       outcome.served = options.trust_domain.name();
                       return absl::OkStatus();
                     }};
  outcome.code = RunCli(arguments, host);
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

std::string ConfigFile(const TempFolder& folder, std::string_view server) {
  const std::string path = folder.path() + "/server.conf";
  EXPECT_TRUE(WriteFileAtomically(
                  path,
                  fmt::format("server {{ trust_domain = \"example.org\" data_dir = \"/d\" {} }}\n"
                              "plugins {{ DataStore \"sql\" {{ plugin_data {{}} }}\n"
                              "KeyManager \"disk\" {{ plugin_data {{}} }}\n"
                              "NodeAttestor \"join_token\" {{ plugin_data {{}} }} }}",
                              server),
                  0600)
                  .ok());
  return path;
}

TEST(CliTest, WithoutACommandItListsThemAndFails) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{}, {"bogus"}}) {
    const Outcome outcome = Invoke(arguments);
    EXPECT_EQ(outcome.code, 127);
    EXPECT_THAT(outcome.err, AllOf(StartsWith("Usage: assay-authority"), HasSubstr("    entry"),
                                   HasSubstr("    healthcheck"), HasSubstr("    run")));
  }
}

TEST(CliTest, HelpIsNotAFailure) {
  for (std::string_view help : {"-h", "-help", "--help"}) {
    const std::string flag(help);
    EXPECT_EQ(Invoke({flag}).code, 0);
    EXPECT_EQ(Invoke({"entry", flag}).code, 0);
    const Outcome outcome = Invoke({"entry", "create", flag});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.err, AllOf(StartsWith("Usage of entry create:\n"), HasSubstr("-selector"),
                                   HasSubstr("-socketPath")));
  }
}

TEST(CliTest, SaysItsVersion) {
  EXPECT_EQ(Invoke({"--version"}).code, 0);
  EXPECT_EQ(Invoke({"--version"}).err, Invoke({"-version"}).err);
  EXPECT_THAT(Invoke({"-version"}).err, HasSubstr("."));
  EXPECT_EQ(Invoke({"-version"}).out, "");
}

TEST(CliTest, AGroupNeedsASubcommand) {
  EXPECT_EQ(Invoke({"entry"}).code, 1);
  const Outcome outcome = Invoke({"agent", "bogus"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("Subcommands:"), HasSubstr("purge")));
}

TEST(CliTest, AWrongFlagIsAnErrorWithTheUsage) {
  const Outcome outcome = Invoke({"token", "generate", "-bogus"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, StartsWith("flag provided but not defined: -bogus\nUsage of token"));
  EXPECT_THAT(Invoke({"token", "generate", "-output", "yaml"}).err,
              StartsWith("invalid value \"yaml\" for flag -output: bad formatter flag: unknown "
                         "format option: \"yaml\"\n"));
}

TEST(CliTest, ChecksTheFlagsBeforeItConnects) {
  const struct {
    std::vector<std::string> arguments;
    std::string_view error;
  } kBad[] = {
      {{"entry", "create"}, "at least one selector is required"},
      {{"entry", "create", "-selector", "a:b"},
       "a parent ID is required if the node flag is not set"},
      {{"entry", "create", "-selector", "a:b", "-node"}, "a SPIFFE ID is required"},
      {{"entry", "create", "-selector", "a:b", "-node", "-federatesWith", "x"},
       "node entries can not federate"},
      {{"entry", "update"}, "entry ID is required"},
      {{"entry", "delete"}, "an entry ID is required"},
      {{"entry", "show", "-entryID", "e", "-spiffeID", "spiffe://a/b"},
       "the -entryID flag can't be combined with others"},
      {{"entry", "show", "-selector", "a:b", "-matchSelectorsOn", "x"},
       "match behavior \"x\" unknown"},
      {{"agent", "ban"}, "a SPIFFE ID is required"},
      {{"agent", "list", "-expiresBefore", "x"},
       "date is not valid: \"x\" is not in the format \"2006-01-02 15:04:05 -0700 -07\""},
      {{"x509", "mint"}, "spiffeID must be specified"},
  };
  for (const auto& [arguments, error] : kBad) {
    const Outcome outcome = Invoke(arguments);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.err, fmt::format("Error: {}\n", error));
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(CliTest, SaysWhichSocketItCannotReach) {
  EXPECT_EQ(Invoke({"entry", "count", "-socketPath", "/nonexistent"}).err,
            "Error: rpc error: code = Unavailable desc = connection error: desc = \"transport: "
            "Error while dialing: dial unix /nonexistent: connect: no such file or directory\"\n");
  EXPECT_EQ(Invoke({"healthcheck", "-socketPath", "/nonexistent"}).err,
            "Error: server is unhealthy: unable to determine health\n");
  EXPECT_EQ(Invoke({"entry", "count", "-socketPath", std::string(200, 'a')}).code, 1);
}

TEST(CliTest, AFlagGoesBeforeTheEnvironment) {
  EXPECT_THAT(Invoke({"entry", "count"}, "", "/nonexistent/set").err,
              HasSubstr("dial unix /nonexistent/set:"));
  EXPECT_THAT(Invoke({"entry", "count", "-socketPath", std::string(kDefaultServerSocket)}, "",
                     "/nonexistent/set")
                  .err,
              HasSubstr(fmt::format("dial unix {}:", kDefaultServerSocket)));
}

TEST(CliTest, AnInstanceNamesItsSocketByTheTemplate) {
  EXPECT_THAT(Invoke({"entry", "count", "-instance", "blue"}, "/nonexistent/%i/%i.sock").err,
              HasSubstr("dial unix /nonexistent/blue/blue.sock"));
  EXPECT_THAT(Invoke({"entry", "count", "-instance", "blue"}).err,
              HasSubstr("SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE"));
}

TEST(CliTest, ValidateTellsGoodFromBad) {
  const TempFolder folder;
  const Outcome good = Invoke({"validate", "-config", ConfigFile(folder, "")});
  EXPECT_EQ(good.code, 0);
  EXPECT_EQ(good.out, "SPIRE server configuration file is valid.\n");
  const Outcome bad = Invoke({"validate", "-config", ConfigFile(folder, "bogus = 1")});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.err, AllOf(StartsWith("SPIRE server configuration file is invalid: "),
                             HasSubstr("bogus")));
}

TEST(CliTest, RunServesTheConfigurationAndTheFlagsOverIt) {
  const TempFolder folder;
  const std::string config = ConfigFile(folder, "");
  EXPECT_EQ(Invoke({"run", "-config", config}).served, "example.org");
  EXPECT_EQ(Invoke({"run", "-config", config, "-trustDomain", "other.test"}).served, "other.test");
  const Outcome bad = Invoke({"run", "-config", config, "-serverPort", "70000"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_EQ(bad.served, "");
  EXPECT_THAT(bad.err, StartsWith("command line: server.bind_port"));
}

}  // namespace
}  // namespace assay
