// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "agent/config_arguments.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kAgent = R"(
  trust_domain = "domain.test"
  server_address = "spire-server"
  server_port = "8081"   # in quotes
  trust_bundle_path = "/b.crt"
)";
constexpr std::string_view kPlugins = R"(plugins {
  NodeAttestor "join_token" { plugin_data { } }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
})";

std::string Config(std::string_view agent = "", std::string_view plugins = kPlugins) {
  return fmt::format("agent {{{}{}}}\n{}", kAgent, agent, plugins);
}

std::string ErrorOf(std::string_view text) {
  const auto config = ParseAgentConfig("f", text, ConfigOverrides{});
  return config.ok() ? "" : std::string(Message(config.status()));
}

TEST(AgentConfigTest, ReadsAConfigurationOfTheReferenceAndItsDefaults) {
  const auto config = ParseAgentConfig("f", Config("log_level = \"DEBUG\""), ConfigOverrides{});
  ASSERT_OK(config);
  EXPECT_EQ(config->trust_domain, "domain.test");
  EXPECT_EQ(config->server_port, 8081);
  EXPECT_EQ(config->socket_path, kDefaultSocketPath);
  EXPECT_EQ(config->log.level, log::Level::kDebug);
  EXPECT_EQ(config->sync_interval, absl::Seconds(5));
  EXPECT_TRUE(config->use_sync_authorized_entries);
  EXPECT_THAT(config->server_addresses, ElementsAre("spire-server"));
  EXPECT_EQ(config->rebootstrap_delay, absl::Minutes(10));
  EXPECT_EQ(config->x509_svid_cache_max_size, 1000);
  EXPECT_EQ(config->node_attestor, AgentConfig::Attestor::kJoinToken);
  EXPECT_EQ(config->key_manager, AgentConfig::KeyManager::kMemory);
  EXPECT_TRUE(config->unix_attestor.has_value());
  EXPECT_THAT(config->warnings, testing::IsEmpty());
}

TEST(AgentConfigTest, TheCommandLineOverridesTheFile) {
  const auto config = ParseAgentConfig(
      "f", Config("log_level = \"DEBUG\" join_token = \"a\""),
      std::vector<std::string>{"-config", "x", "--logLevel=error", "-serverPort", "99",
                               "-joinToken", "-b", "-allowUnauthenticatedVerifiers"});
  ASSERT_OK(config);
  EXPECT_EQ(config->log.level, log::Level::kError);
  EXPECT_EQ(config->server_port, 99);
  EXPECT_EQ(config->join_token.Reveal(), "-b");
  EXPECT_TRUE(config->allow_unauthenticated_verifiers);
}

TEST(AgentConfigTest, ABadArgumentIsNamedByItsOption) {
  EXPECT_THAT(ParseAgentConfig("f", Config(),
                               std::vector<std::string>{"-logLevel=x", "-rebootstrapDelay=1"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       testing::AllOf(HasSubstr("command line: agent.log_level:"),
                                      HasSubstr("command line: agent.rebootstrap_delay:"))));
}

TEST(AgentConfigTest, SaysAllThatIsMissing) {
  EXPECT_EQ(ErrorOf(""),
            "server_address must be configured\nserver_port must be configured\n"
            "trust_domain must be configured\n"
            "trust_bundle_path, trust_bundle_url, or trust_bundle_spiffe_workload_api must be "
            "configured unless insecure_bootstrap is set\n"
            "plugins section must be configured");
  EXPECT_EQ(ErrorOf(Config("", "plugins {}")),
            "plugins: one NodeAttestor must be configured\n"
            "plugins: one KeyManager must be configured\n"
            "plugins: at least one WorkloadAttestor must be configured");
}

TEST(AgentConfigTest, FindsUnknownNamesAtEveryDepth) {
  EXPECT_THAT(ErrorOf(Config("sds { default_svid_nam = 1 }")),
              HasSubstr("unknown option \"default_svid_nam\" in agent.sds; did you mean"));
  EXPECT_THAT(ErrorOf(Config("experimental { sync_intervall = \"1s\" }")),
              HasSubstr("did you mean \"sync_interval\"?"));
  EXPECT_THAT(ErrorOf(Config("", R"(plugins { NodeAttestor "join_token" { plugin_data { x = 1 } }
      KeyManager "memory" {} WorkloadAttestor "unix" {} })")),
              HasSubstr("unknown option \"x\" in plugins.NodeAttestor \"join_token\".plugin_data"));
}

TEST(AgentConfigTest, RefusesWhatItWouldHaveToIgnoreAtARisk) {
  const struct {
    std::string_view agent;
    std::string_view error;
  } kCases[] = {
      {"rebootstrap_mode = \"now\"", "\"now\" is none of never, auto, always"},
      {"experimental { rpc_timeout = \"0s\" }", "rpc_timeout must be more than 0s"},
      {"experimental { jwt_svid_cache_hit_timeout = \"4999ms\" }",
       "jwt_svid_cache_hit_timeout must be at least 5s and less than 30s"},
      {"experimental { jwt_svid_cache_hit_timeout = \"30s\" }",
       "jwt_svid_cache_hit_timeout must be at least 5s and less than 30s"},
      {"experimental { jwt_svid_cache_hit_timeout = \"soon\" }",
       "experimental.jwt_svid_cache_hit_timeout: \"soon\" is no duration"},
      {"experimental { require_pq_kem = true }", "experimental.require_pq_kem: wolfSSL"},
      {"insecure_bootstrap = true",
       "only one of insecure_bootstrap or trust_bundle_path can be specified, not both"},
      {"join_token = \"a\" join_token_file = \"b\"", "only one of join_token or join_token_file"},
      {"availability_target = \"23h\"", "availability_target must be at least 24h0m0s"},
      {"admin_socket_path = \"/tmp/spire-agent/./public/x/../admin.sock\"",
       "admin_socket_path cannot be in the same directory"},
      {"authorized_delegates = [\"spiffe://domain.test/d\", \"delegate\"]",
       "authorized_delegates: "},
      {"authorized_delegates = [\"spiffe://other.test/d\"]",
       "\"spiffe://other.test/d\" is not a member of trust domain \"domain.test\""},
      {"workload_x509_svid_key_type = \"ec-p521\"", "is none of ec-p256, ec-p384, rsa-2048"},
      {"} telemetry { DogStatsd = [{ address = \"a\" }] ", "telemetry.DogStatsd is not supported"},
  };
  for (const auto& [agent, error] : kCases) {
    EXPECT_THAT(ErrorOf(Config(agent)), HasSubstr(std::string(error)));
  }
  EXPECT_EQ(ErrorOf(Config("admin_socket_path = \"/tmp/spire-agent/admin/a.sock\"")), "");
  EXPECT_EQ(ErrorOf(Config("authorized_delegates = [\"spiffe://domain.test/d\",]")), "");
}

TEST(AgentConfigTest, HowLongToWaitForANewerJwtSvidMayBeSaid) {
  const auto timeout = [](const std::string& text) {
    const std::string option = "experimental { jwt_svid_cache_hit_timeout = \"" + text + "\" }";
    const auto config = ParseAgentConfig("f", Config(option), ConfigOverrides{});
    EXPECT_OK(config);
    return config.ok() ? config->jwt_svid_cache_hit_timeout : std::nullopt;
  };
  EXPECT_EQ(timeout("5s"), absl::Seconds(5));
  EXPECT_EQ(timeout("29.9s"), absl::Milliseconds(29'900));
  EXPECT_EQ(timeout(""), std::nullopt);
}

TEST(AgentConfigTest, RefusesPluginsThatDoNotExistUnlessTheyAreOff) {
  const std::string_view others =
      R"(plugins { NodeAttestor "azure_msi" {%s} KeyManager "awskms" {%s}
      WorkloadAttestor "docker" {%s} %s })";
  const auto with = [&](std::string_view on, std::string_view rest) {
    std::string text(others);
    for (int i = 0; i < 3; ++i) {
      text.replace(text.find("%s"), 2, on);
    }
    return text.replace(text.find("%s"), 2, rest);
  };
  const std::string error = ErrorOf(Config("", with("", "")));
  EXPECT_THAT(error, HasSubstr("plugins.NodeAttestor \"azure_msi\" is not supported"));
  EXPECT_THAT(error, HasSubstr("plugins.KeyManager \"awskms\" is not supported"));
  EXPECT_THAT(error, HasSubstr("plugins.WorkloadAttestor \"docker\" is not supported"));
  EXPECT_EQ(ErrorOf(Config("", with("enabled = false",
                                    "NodeAttestor \"join_token\" {} KeyManager \"memory\" {} "
                                    "WorkloadAttestor \"unix\" {}"))),
            "");
}

TEST(AgentConfigTest, ReadsPluginDataAndWantsWhatIsNeeded) {
  const auto config = ParseAgentConfig("f", Config("", R"(plugins {
    NodeAttestor "tpm_devid" { plugin_data { devid_cert_path = "c" devid_priv_path = "r"
      devid_pub_path = "u" devid_password = "p" } }
    KeyManager "disk" { plugin_data { directory = "/k" } }
    WorkloadAttestor "unix" { plugin_data { discover_workload_path = true
      workload_size_limit = -1 } } })"),
                                       ConfigOverrides{});
  ASSERT_OK(config);
  EXPECT_EQ(config->node_attestor, AgentConfig::Attestor::kTpmDevid);
  EXPECT_EQ(config->tpm_devid.devid_pub_path, "u");
  EXPECT_EQ(config->tpm_devid.devid_password.Reveal(), "p");
  EXPECT_EQ(config->key_folder, "/k");
  EXPECT_EQ(config->unix_attestor->workload_size_limit, -1);
  EXPECT_THAT(ErrorOf(Config("", R"(plugins { KeyManager "disk" {} NodeAttestor "join_token" {}
      NodeAttestor "tpm_devid" {} WorkloadAttestor "unix" {} })")),
              testing::AllOf(HasSubstr("\"disk\".directory must be configured"),
                             HasSubstr("\"tpm_devid\".devid_cert_path must be configured"),
                             HasSubstr("only one NodeAttestor can be used")));
}

std::string WithTpmDevid(std::string_view devid, std::string_view rest) {
  return Config("", fmt::format(R"(plugins {{ NodeAttestor "tpm_devid" {{ plugin_data {{
      devid_cert_path = "c" devid_priv_path = "r" devid_pub_path = "u" {} }} }}
      WorkloadAttestor "unix" {{}} {} }})",
                                devid, rest));
}

TEST(AgentConfigTest, KeepsTheKeyInTheTpmWhereTheAttestorHasOneAndNothingElseIsNamed) {
  using KeyManager = AgentConfig::KeyManager;
  const std::string devid = "tpm_device_path = \"/d\" owner_hierarchy_password = \"o\"";
  const auto parse = [&](std::string_view rest) {
    return ParseAgentConfig("f", WithTpmDevid(devid, rest), ConfigOverrides{});
  };
  const auto unnamed = parse("");
  ASSERT_OK(unnamed);
  EXPECT_EQ(unnamed->key_manager, KeyManager::kTpm);
  EXPECT_EQ(unnamed->key_tpm.tpm_device_path, "/d");
  EXPECT_EQ(unnamed->key_tpm.owner_hierarchy_password.Reveal(), "o");
  EXPECT_EQ(parse("KeyManager \"memory\" {}")->key_manager, KeyManager::kMemory);
  EXPECT_EQ(parse("KeyManager \"disk\" { plugin_data { directory = \"k\" } }")->key_manager,
            KeyManager::kDisk);
  const auto named = parse(
      "KeyManager \"tpm\" { plugin_data { key_type = \"ec-p384\" "
      "owner_hierarchy_password = \"p\" } }");
  ASSERT_OK(named);
  EXPECT_EQ(named->key_tpm.key_type, crypto::KeyType::kEcP384);
  EXPECT_EQ(named->key_tpm.owner_hierarchy_password.Reveal(), "p");
  EXPECT_EQ(named->key_tpm.tpm_device_path, "/d");
}

TEST(AgentConfigTest, HasOneTpmAndNoKeyManagerOfItsOwnForOtherAttestors) {
  EXPECT_THAT(ErrorOf(WithTpmDevid(
                  "", "KeyManager \"tpm\" { plugin_data { tpm_device_path = \"/other\" } }")),
              HasSubstr("must have the same tpm_device_path"));
  EXPECT_THAT(ErrorOf(WithTpmDevid("", "KeyManager \"tpm\" { plugin_data { key_type = \"x\" } }")),
              HasSubstr("\"x\" is none of ec-p256, ec-p384, rsa-2048"));
  EXPECT_THAT(ErrorOf(Config("", R"(plugins { NodeAttestor "join_token" {}
      WorkloadAttestor "unix" {} })")),
              HasSubstr("one KeyManager must be configured"));
  const auto config = ParseAgentConfig("f", Config("", R"(plugins { NodeAttestor "join_token" {}
      KeyManager "tpm" { plugin_data { tpm_device_path = "/dev/tpmrm7" } }
      WorkloadAttestor "unix" {} })"),
                                       ConfigOverrides{});
  ASSERT_OK(config);
  EXPECT_EQ(config->key_manager, AgentConfig::KeyManager::kTpm);
  EXPECT_EQ(config->key_tpm.tpm_device_path, "/dev/tpmrm7");
}

// A configuration with this NodeAttestor.
std::string WithAttestor(std::string_view attestor) {
  return Config("", fmt::format("plugins {{ NodeAttestor {} KeyManager \"memory\" {{}} "
                                "WorkloadAttestor \"unix\" {{}} }}",
                                attestor));
}

TEST(AgentConfigTest, ReadsEachNodeAttestor) {
  using Attestor = AgentConfig::Attestor;
  const auto parsed = [](std::string_view attestor) {
    return ParseAgentConfig("f", WithAttestor(attestor), ConfigOverrides{}).value();
  };
  const AgentConfig pop = parsed(R"("x509pop" { plugin_data { private_key_path = "k"
      certificate_path = "c" intermediates_path = "i" } })");
  EXPECT_EQ(pop.node_attestor, Attestor::kX509Pop);
  EXPECT_EQ(pop.x509pop.private_key_path, "k");
  EXPECT_EQ(pop.x509pop.intermediates_path, "i");
  const AgentConfig api = parsed(R"("x509pop" { plugin_data {
      spiffe_endpoint_socket = "unix:///run/api.sock" } })");
  EXPECT_EQ(api.x509pop.spiffe_endpoint_socket, "/run/api.sock");
  const AgentConfig psat = parsed(R"("k8s_psat" { plugin_data { cluster = "demo" } })");
  EXPECT_EQ(psat.node_attestor, Attestor::kK8sPsat);
  EXPECT_EQ(psat.k8s_psat.cluster, "demo");
  EXPECT_EQ(psat.k8s_psat.token_path, "/var/run/secrets/tokens/spire-agent");
  const AgentConfig ssh = parsed(R"("sshpop" { plugin_data { host_key_path = "k" } })");
  EXPECT_EQ(ssh.node_attestor, Attestor::kSshPop);
  EXPECT_EQ(ssh.sshpop.host_key_path, "k");
  EXPECT_EQ(ssh.sshpop.host_cert_path, "/etc/ssh/ssh_host_rsa_key-cert.pub");
}

TEST(AgentConfigTest, WantsWhatANodeAttestorNeeds) {
  EXPECT_THAT(ErrorOf(WithAttestor("\"x509pop\" { plugin_data {} }")),
              testing::AllOf(HasSubstr("\"x509pop\".private_key_path must be configured"),
                             HasSubstr("\"x509pop\".certificate_path must be configured")));
  EXPECT_THAT(ErrorOf(WithAttestor(
                  R"("x509pop" { plugin_data { spiffe_endpoint_socket = "tcp:1.2.3.4:5" } })")),
              HasSubstr("spiffe_endpoint_socket: \"tcp:1.2.3.4:5\" is not \"unix:\""));
  EXPECT_THAT(ErrorOf(WithAttestor("\"k8s_psat\" {}")),
              HasSubstr("\"k8s_psat\".cluster must be configured"));
}

std::string DevIdInFile(std::string_view more = "") {
  return Config("", fmt::format(R"(plugins {{ KeyManager "memory" {{}} WorkloadAttestor "unix" {{}}
    NodeAttestor "tpm_devid" {{ plugin_data_file = "/data" {} }} }})",
                                more));
}

TEST(AgentConfigTest, ReadsAPluginsOptionsFromItsFile) {
  const auto read = [](const std::string& name) -> absl::StatusOr<Secret> {
    EXPECT_EQ(name, "/data");
    return Secret("devid_cert_path = \"c\"\ndevid_priv_path = \"r\"\ndevid_pub_path = \"u\"");
  };
  const auto config = ParseAgentConfig("f", DevIdInFile(), ConfigOverrides{}, read);
  ASSERT_OK(config);
  EXPECT_EQ(config->tpm_devid.devid_priv_path, "r");
  ASSERT_EQ(config->plugin_files.size(), 1U);
  EXPECT_EQ(config->plugin_files[0].option, "plugins.NodeAttestor \"tpm_devid\".plugin_data_file");
}

TEST(AgentConfigTest, TellsMistakesInAPluginsFileByItsName) {
  const auto read = [](const std::string&) -> absl::StatusOr<Secret> {
    return Secret("\ndevid_cert_pat = \"c\"");
  };
  EXPECT_THAT(
      ParseAgentConfig("f", DevIdInFile(), ConfigOverrides{}, read),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("/data:2:1: unknown option \"devid_cert_pat\" in plugins.NodeAttestor "
                         "\"tpm_devid\".plugin_data_file; did you mean")));
  const auto none = [](const std::string&) -> absl::StatusOr<Secret> {
    return NotFound("no such file");
  };
  EXPECT_THAT(ParseAgentConfig("f", DevIdInFile(), ConfigOverrides{}, none),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("plugin_data_file: no such")));
  EXPECT_THAT(ErrorOf(DevIdInFile("plugin_data { devid_cert_path = \"c\" }")),
              HasSubstr("only one of plugin_data, plugin_data_file can be used"));
}

TEST(AgentConfigTest, TellsWhatAReloadTakesUp) {
  const std::string before = Config("log_level = \"info\" socket_path = \"/a\"");
  const std::string after =
      Config("log_level = \"debug\" socket_path = \"/b\" experimental { sync_interval = \"1s\" }");
  std::vector<std::string> told;
  for (const OptionChange& change : CompareAgentConfigs(before, after, {})) {
    told.push_back(change.path + (change.reloads ? " now" : ""));
  }
  EXPECT_THAT(told, ElementsAre("agent.socket_path", "agent.log_level now",
                                "agent.experimental.sync_interval now"));
  EXPECT_EQ(CompareAgentConfigs(before, after, {{"log_level", "warn"}}).size(), 2U);
}

TEST(AgentConfigTest, ReadsSeveralUpstreams) {
  const auto with = [](std::string_view addresses) {
    std::string text = Config(
        "rebootstrap_mode = \"auto\" rebootstrap_delay = \"1m\" "
        "experimental { use_sync_authorized_entries = false }");
    constexpr std::string_view kOne = "\"spire-server\"";
    return text.replace(text.find(kOne), kOne.size(), addresses);
  };
  const auto config = ParseAgentConfig("f", with("[\"a\", \"b\"]"), ConfigOverrides{});
  ASSERT_OK(config);
  EXPECT_THAT(config->server_addresses, ElementsAre("a", "b"));
  EXPECT_EQ(config->rebootstrap_mode, RebootstrapMode::kAuto);
  EXPECT_EQ(config->rebootstrap_delay, absl::Minutes(1));
  EXPECT_FALSE(config->use_sync_authorized_entries);
  EXPECT_THAT(ErrorOf(with("[]")), HasSubstr("server_address must be"));
  EXPECT_THAT(ErrorOf(with("[\"a\", \"\"]")), HasSubstr("server_address must be"));
}

TEST(AgentConfigTest, WarnsOfWhatHasNoEffect) {
  const auto config = ParseAgentConfig("f", Config("profiling_enabled = true"), ConfigOverrides{});
  ASSERT_OK(config);
  EXPECT_THAT(
      config->warnings,
      ElementsAre("f:6:21: agent.profiling_enabled has no effect: Go's profiler is not in this "
                  "program; perf and heaptrack look into it"));
}

TEST(AgentConfigTest, ExpandsVariablesOfTheEnvironment) {
  setenv("ASSAY_TEST_NAME", "value", 1);
  const struct {
    std::string_view text, expanded;
  } kCases[] = {{"a $ASSAY_TEST_NAME ${ASSAY_TEST_NAME}x", "a value valuex"},
                {"$ASSAY_TEST_UNSET${ASSAY_TEST_UNSET}.", "."},
                {"$ASSAY_TEST_NAME-x", "value-x"},
                {"a$ $", "a$ $"},
                {"$$ASSAY_TEST_NAME ${$}", "$ASSAY_TEST_NAME $"},
                {"${}a ${ASSAY", "a ASSAY"},
                {"$1a", "a"},
                {"", ""}};
  for (const auto& [text, expanded] : kCases) {
    EXPECT_EQ(ExpandEnvironment(text), expanded) << text;
  }
}

TEST(AgentConfigTest, AnInstanceNamesTheSocketByTheTemplate) {
  constexpr const char* kTemplate = "SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE";
  unsetenv(kTemplate);
  unsetenv("SPIRE_AGENT_PUBLIC_SOCKET");
  EXPECT_EQ(*ClientSocketPath(""), kDefaultSocketPath);
  EXPECT_THAT(ClientSocketPath("a"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("must be defined when using the instance")));
  setenv(kTemplate, "/run/api.sock", 1);
  EXPECT_THAT(ClientSocketPath("a"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("failed to find %i in")));
  setenv(kTemplate, "/run/%i/%i.sock", 1);
  EXPECT_EQ(*ClientSocketPath("a"), "/run/a/a.sock");
  setenv("SPIRE_AGENT_PUBLIC_SOCKET", "/other.sock", 1);
  EXPECT_EQ(*ClientSocketPath(""), "/other.sock");
  unsetenv(kTemplate);
  unsetenv("SPIRE_AGENT_PUBLIC_SOCKET");
}

}  // namespace
}  // namespace assay
