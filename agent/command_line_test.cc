// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "agent/audit_chain.h"
#include "base/files.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

struct Ran {
  int status;
  std::string out, err;
};

Ran RunAgent(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int status = RunCommandLine(arguments, {.out = out, .err = err});
  return {status, out.str(), err.str()};
}

TEST(CommandLineTest, WithoutACommandItListsThem) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, std::vector<std::string>{"nosuch"}}) {
    const Ran ran = RunAgent(arguments);
    EXPECT_EQ(ran.status, 127);
    EXPECT_THAT(ran.err, StartsWith("Usage: assay-agent [--version] [--help] <command> [<args>]\n\n"
                                    "Available commands are:\n"
                                    "    api            \n"));
    EXPECT_THAT(ran.err, HasSubstr("    run            Runs the agent\n"));
  }
  EXPECT_EQ(RunAgent({"-h"}).status, 0);
}

TEST(CommandLineTest, TheUsageIsOfTheNameThatTheProgramIsCalledBy) {
  std::ostringstream out, err;
  EXPECT_EQ(RunCommandLine({}, {.out = out, .err = err, .program = "spire-agent"}), 127);
  EXPECT_THAT(err.str(), StartsWith("Usage: spire-agent [--version] [--help] <command> [<args>]"));
}

TEST(CommandLineTest, AGroupListsItsCommands) {
  const Ran ran = RunAgent({"api"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("Subcommands:\n    fetch       Fetches X509 SVIDs"));
}

TEST(CommandLineTest, VersionGoesToStandardErrorAsTheReferences) {
  EXPECT_EQ(RunAgent({"--version"}).status, 0);
  EXPECT_EQ(RunAgent({"--version"}).err, "0.1.0\n");
}

TEST(CommandLineTest, HelpSucceedsAndAnUnknownFlagFails) {
  EXPECT_EQ(RunAgent({"run", "-h"}).status, 0);
  EXPECT_THAT(RunAgent({"run", "-h"}).err,
              StartsWith("Usage of run:\n  -allowUnauthenticatedVeri"));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"run", "-h"}, {"validate", "-help"}, {"api", "watch", "--h"}}) {
    EXPECT_THAT(RunAgent(command).err, EndsWith("\nflag: help requested\n"));
  }
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"healthcheck", "-h"}, {"api", "fetch", "-h"}}) {
    EXPECT_THAT(RunAgent(command).err, EndsWith("\n\n"));
  }
  const Ran ran = RunAgent({"api", "watch", "-bogus"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, StartsWith("flag provided but not defined: -bogus\nUsage of watch:\n"));
}

TEST(CommandLineTest, AnUnknownOutputIsRefusedAsTheReferenceDoes) {
  const Ran ran = RunAgent({"api", "fetch", "x509", "-output", "bogus"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err,
              StartsWith("invalid value \"bogus\" for flag -output: bad formatter flag: unknown "
                         "format option: \"bogus\"\nUsage of fetch x509:\n  -instance string\n"));
}

TEST(CommandLineTest, JwtCommandsSayWhatTheyMiss) {
  EXPECT_EQ(RunAgent({"api", "fetch", "jwt"}).err, "audience must be specified\n");
  EXPECT_EQ(RunAgent({"api", "validate", "jwt", "-svid", "s"}).err, "audience must be specified\n");
  EXPECT_EQ(RunAgent({"api", "validate", "jwt", "-audience", "a"}).err, "svid must be specified\n");
  const Ran ran = RunAgent({"api", "fetch", "jwt", "-audience", "a", "-socketPath", "/nowhere"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, StartsWith("rpc error: code = Unavailable desc = connection error"));
}

TEST(CommandLineTest, AuditVerifySaysWhatIsInOrderAndNamesTheFirstLineThatIsNot) {
  const TempFolder folder;
  const std::string a = folder.path() + "/a", b = folder.path() + "/b";
  const SealedAuditLine first = SealAuditLine("{\"number\":1", NoAuditLine());
  const SealedAuditLine second = SealAuditLine("{\"number\":2", first.hash);
  ASSERT_TRUE(WriteFileAtomically(a, first.text, 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(b, second.text, 0600).ok());
  Ran ran = RunAgent({"audit", "verify", a, b});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.out, "2 lines are in order. The last has the hash " + second.hash + ".\n");
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(RunAgent({"audit", "verify", "-anchor", first.hash, a, b}).status, 0);
  ran = RunAgent({"audit", "verify", "-anchor=" + second.hash, a});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err, "no line has the hash \"" + second.hash + "\"\n");
  ran = RunAgent({"audit", "verify", b});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.err, b + ":1: it follows a line that is in none of the files, with the hash " +
                         first.hash + "\n");
  ran = RunAgent({"audit", "verify", "--", b, a});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err, a + ":1: a log begins anew here\n");
  EXPECT_EQ(RunAgent({"audit", "verify", folder.path() + "/none"}).status, 1);
  EXPECT_EQ(RunAgent({"audit", "verify"}).status, 1);
  EXPECT_EQ(RunAgent({"audit", "verify", "-h"}).status, 0);
}

TEST(CommandLineTest, ValidateSaysValidOrWhyNot) {
  const TempFolder folder;
  const std::string path = folder.path() + "/agent.conf";
  ASSERT_TRUE(WriteFileAtomically(path, R"(agent { trust_domain = "d.test" server_address = "h"
    server_port = 1 insecure_bootstrap = true }
    plugins { NodeAttestor "join_token" {} KeyManager "memory" {} WorkloadAttestor "unix" {} })",
                                  0600)
                  .ok());
  Ran ran = RunAgent({"validate", "-config", path});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.out, "SPIRE agent configuration file is valid.\n");
  ran = RunAgent({"validate", "-config", path, "-logLevel=loud"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, StartsWith("SPIRE agent configuration file is invalid: command line: "));
  ran = RunAgent({"validate", "-config", folder.path() + "/none"});
  EXPECT_EQ(ran.err, "SPIRE agent configuration file is invalid: could not find config file " +
                         folder.path() + "/none: please use the -config flag\n");
}

TEST(CommandLineTest, ASocketThatIsNotThereIsToldAsTheReferenceDoes) {
  const std::string error =
      "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while "
      "dialing: dial unix /nonexistent.sock: connect: no such file or directory\"\n";
  Ran ran = RunAgent({"api", "fetch", "-socketPath", "/nonexistent.sock"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err, error);
  ran = RunAgent({"healthcheck", "-verbose", "-socketPath", "/nonexistent.sock"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.out, "Checking agent health...\n");
  EXPECT_EQ(ran.err, "Failed to check health: " + error +
                         "Agent is unhealthy: unable to determine health\n");
}

}  // namespace
}  // namespace assay
