// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kPlugins = R"(
  DataStore "sql" { plugin_data { database_type = "sqlite3" } }
  KeyManager "disk" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} })";

// A configuration that is whole, with more in its server and plugins blocks.
std::string Text(std::string_view server = "", std::string_view plugins = kPlugins) {
  return fmt::format(
      "server {{\n trust_domain = \"example.org\"\n data_dir = \"/d\"\n{}\n}}\nplugins {{{}}}\n",
      server, plugins);
}

absl::StatusOr<AuthorityConfig> Parse(std::string_view text,
                                      const AuthorityOverrides& overrides = {}) {
  return ParseAuthorityConfig("server.conf", text, overrides);
}

TEST(AuthorityConfigTest, FillsInWhatTheFileLeavesOut) {
  const auto config = Parse(Text());
  ASSERT_OK(config);
  EXPECT_EQ(config->options.trust_domain.name(), "example.org");
  EXPECT_EQ(config->options.bind_port, 8081);
  EXPECT_EQ(config->options.socket_path, "/tmp/spire-server/private/api.sock");
  EXPECT_EQ(config->options.ca_ttl, absl::Hours(24));
  EXPECT_TRUE(config->options.node_verifiers.join_token);
  EXPECT_FALSE(config->options.node_verifiers.tpm_devid.has_value());
  EXPECT_THAT(config->warnings, IsEmpty());
}

TEST(AuthorityConfigTest, ReadsTheOptionsOfSpireServer) {
  const auto config = Parse(Text(R"(
    bind_address = "127.0.0.1"
    bind_port = "9081"
    socket_path = "/s/api.sock"
    ca_ttl = "48h"
    ca_key_type = "rsa-2048"
    jwt_key_type = "ec-p384"
    jwt_issuer = "https://issuer"
    default_x509_svid_ttl = "30m"
    default_jwt_svid_ttl = "90s"
    disable_jwt_svids = true
    agent_ttl = "2h"
    log_level = "DEBUG"
    log_format = "json"
    log_file = "/l"
    ratelimit { attestation = false signing = "false" })"));
  ASSERT_OK(config);
  const AuthorityOptions& options = config->options;
  EXPECT_EQ(options.bind_address, "127.0.0.1");
  EXPECT_EQ(options.bind_port, 9081);
  EXPECT_EQ(options.socket_path, "/s/api.sock");
  EXPECT_EQ(options.ca_ttl, absl::Hours(48));
  EXPECT_EQ(options.ca_key_type, crypto::KeyType::kRsa2048);
  EXPECT_EQ(options.JwtKeyType(), crypto::KeyType::kEcP384);
  EXPECT_EQ(options.jwt_issuer, "https://issuer");
  EXPECT_EQ(options.default_x509_svid_ttl, absl::Minutes(30));
  EXPECT_EQ(options.default_jwt_svid_ttl, absl::Seconds(90));
  EXPECT_TRUE(options.disable_jwt_svids);
  EXPECT_EQ(options.AgentTtl(), absl::Hours(2));
  EXPECT_EQ(options.log.level, log::Level::kDebug);
  EXPECT_EQ(options.log.format, log::Format::kJson);
  EXPECT_EQ(options.log.file, "/l");
  EXPECT_FALSE(options.ratelimit_attestation);
  EXPECT_FALSE(options.ratelimit_signing);
}

TEST(AuthorityConfigTest, NodesAttestOnlyByWhatIsConfigured) {
  const auto config = Parse(Text("", R"(
    DataStore "sql" { plugin_data { database_type = "sqlite3" } }
    KeyManager "disk" { plugin_data {} }
    NodeAttestor "tpm_devid" {
      plugin_data { devid_ca_path = "/devid.pem" endorsement_ca_path = "/ek.pem" }
    })"));
  ASSERT_OK(config);
  EXPECT_FALSE(config->options.node_verifiers.join_token);
  ASSERT_TRUE(config->options.node_verifiers.tpm_devid.has_value());
  EXPECT_EQ(config->options.node_verifiers.tpm_devid->devid_ca_path, "/devid.pem");
  EXPECT_EQ(config->options.node_verifiers.tpm_devid->endorsement_ca_path, "/ek.pem");
}

// What the file says of nodes, with this NodeAttestor alone.
absl::StatusOr<AuthorityConfig> ParseAttestor(std::string_view attestor) {
  return Parse(Text("", fmt::format(R"(
    DataStore "sql" {{ plugin_data {{ database_type = "sqlite3" }} }}
    KeyManager "disk" {{ plugin_data {{}} }}
    NodeAttestor {})",
                                    attestor)));
}

TEST(AuthorityConfigTest, ReadsHowNodesProveThemselves) {
  const auto pop = ParseAttestor(R"("x509pop" { plugin_data { ca_bundle_paths = ["a", "b"]
      max_intermediates = 2 agent_path_template = "/{{ .Subject.CommonName }}" } })");
  ASSERT_OK(pop);
  EXPECT_FALSE(pop->options.node_verifiers.join_token);
  EXPECT_THAT(pop->options.node_verifiers.x509pop->ca_bundle_paths, ElementsAre("a", "b"));
  EXPECT_EQ(pop->options.node_verifiers.x509pop->max_intermediates, 2);
  EXPECT_EQ(pop->options.node_verifiers.x509pop->agent_path_template, "/{{ .Subject.CommonName }}");
  const auto psat = ParseAttestor(R"("k8s_psat" { plugin_data { clusters = { "demo" = {
      service_account_allow_list = ["spire:agent"] service_account_keys_path = "/k" issuer = "i"
      use_pod_uid_for_agent_id = true } } } })");
  ASSERT_OK(psat);
  const auto& cluster = psat->options.node_verifiers.k8s_psat->clusters.at("demo");
  EXPECT_EQ(cluster.issuer, "i");
  EXPECT_TRUE(cluster.use_pod_uid_for_agent_id);
  EXPECT_THAT(cluster.audience, ElementsAre("spire-server"));
  const auto ssh = ParseAttestor(R"("sshpop" { plugin_data { cert_authorities = ["ssh-rsa A"]
      canonical_domain = "example.org" } })");
  ASSERT_OK(ssh);
  EXPECT_THAT(ssh->options.node_verifiers.sshpop->cert_authorities, ElementsAre("ssh-rsa A"));
  EXPECT_EQ(ssh->options.node_verifiers.sshpop->canonical_domain, "example.org");
}

TEST(AuthorityConfigTest, ReadsHowHttpChallengesAreMade) {
  const auto unset = ParseAttestor(R"("http_challenge" { plugin_data {} })");
  ASSERT_OK(unset);
  EXPECT_TRUE(unset->options.node_verifiers.http_challenge->tofu);
  EXPECT_TRUE(unset->options.node_verifiers.http_challenge->allow_non_root_ports);
  EXPECT_FALSE(unset->options.node_verifiers.http_challenge->allow_local_addresses);
  const auto set = ParseAttestor(R"("http_challenge" { plugin_data { required_port = 80
      tofu = false allowed_dns_patterns = ["^p$"] allow_local_addresses = true } })");
  ASSERT_OK(set);
  const auto& challenge = *set->options.node_verifiers.http_challenge;
  EXPECT_EQ(challenge.required_port, 80);
  EXPECT_FALSE(challenge.tofu);
  EXPECT_TRUE(challenge.allow_local_addresses);
  EXPECT_THAT(challenge.allowed_dns_patterns, ElementsAre("^p$"));
  EXPECT_OK(ParseAttestor(
      R"("http_challenge" { plugin_data { tofu = false allow_non_root_ports = false } })"));
}

TEST(AuthorityConfigTest, SaysWhatIsWrongWithANodeAttestor) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"("x509pop" { plugin_data {} })", "one of ca_bundle_path or ca_bundle_paths must be"},
      {R"("x509pop" { plugin_data { ca_bundle_path = "a" ca_bundle_paths = ["b"] } })",
       "only one of ca_bundle_path or ca_bundle_paths"},
      {R"("x509pop" { plugin_data { ca_bundle_path = "a" mode = "spiffe" } })", "mode \"spiffe\""},
      {R"("x509pop" { plugin_data { ca_bundle_path = "a" agent_path_template = "/{{ .X }}" } })",
       "agent_path_template"},
      {R"("k8s_psat" { plugin_data {} })", "clusters must have at least one"},
      {R"("k8s_psat" { plugin_data { clusters = { "demo" = { issuer = "i" audience = [] } } } })",
       "\"demo\".service_account_keys_path must be configured"},
      {R"("k8s_psat" { plugin_data { clusters = { "demo" = { kube_config_file = "f" } } } })",
       "kube_config_file is not supported"},
      {R"("sshpop" { plugin_data {} })", "cert_authorities or cert_authorities_path must be"},
      {R"("http_challenge" { plugin_data { tofu = false } })", "can not turn off trust on first"},
      {R"("http_challenge" { plugin_data { tofu = false required_port = 1024 } })",
       "can not turn off trust on first"},
      {R"("http_challenge" { plugin_data { required_port = 65536 } })", "required_port"},
      {R"("http_challenge" { plugin_data { required_port = 0 } })", "required_port"},
      {R"("http_challenge" { plugin_data { allowed_dns_patterns = ["a", "("] } })",
       "cannot compile allowed_dns_pattern: \"(\""}};
  for (const auto& [attestor, words] : cases) {
    EXPECT_THAT(ParseAttestor(attestor),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words)))
        << attestor;
  }
}

TEST(AuthorityConfigTest, AnAttestorThatIsNotEnabledIsNotUsed) {
  const auto config = Parse(Text("", R"(
    DataStore "sql" { plugin_data { database_type = "sqlite3" } }
    KeyManager "disk" { plugin_data {} }
    NodeAttestor "join_token" { enabled = false plugin_data {} })"));
  EXPECT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("at least one NodeAttestor must be configured")));
}

TEST(AuthorityConfigTest, TheCommandLineGoesBeforeTheFile) {
  const auto config = Parse(Text("bind_port = 1\n log_level = \"info\""),
                            {{"trust_domain", "other.test"}, {"bind_port", "2"}});
  ASSERT_OK(config);
  EXPECT_EQ(config->options.trust_domain.name(), "other.test");
  EXPECT_EQ(config->options.bind_port, 2);
  EXPECT_THAT(Parse(Text(), {{"bind_port", "x"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("server.bind_port")));
}

TEST(AuthorityConfigTest, FindsAllMistakesAtOnceWithTheirPlaces) {
  const auto config = Parse("server {\n  bogus = 1\n  bind_port = 70000\n}\n");
  EXPECT_THAT(config,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("server.conf:2:3: unknown option \"bogus\" in server"),
                             HasSubstr("server.conf:3:"), HasSubstr("trust_domain must be"),
                             HasSubstr("data_dir must be configured"),
                             HasSubstr("plugins section must be configured"))));
}

TEST(AuthorityConfigTest, RefusesWhatItCannotDo) {
  for (std::string_view server :
       {"federation { bundle_endpoint { port = 1 } }", "admin_ids = [\"spiffe://a/b\"]",
        "audit_log_enabled = true", "experimental { require_pq_kem = true }",
        "ca_subject { common_name = \"my CA\" }"}) {
    EXPECT_THAT(Parse(Text(server)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not supported")))
        << server;
  }
  for (std::string_view plugin : {"UpstreamAuthority \"disk\" { plugin_data {} }",
                                  "NodeAttestor \"aws_iid\" {}", "KeyManager \"aws_kms\" {}",
                                  "DataStore \"sql\" { plugin_data { database_type=\"mysql\" } }",
                                  "Notifier \"k8sbundle\" { plugin_cmd = \"/x\" }"}) {
    EXPECT_THAT(Parse(Text("", std::string(kPlugins) + "\n" + std::string(plugin))),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not supported")))
        << plugin;
  }
}

TEST(AuthorityConfigTest, KeepsKeysOnDiskOrInMemory) {
  EXPECT_TRUE(Parse(Text("")).value().options.keys_on_disk);
  const auto config = Parse(Text("", R"(
    DataStore "sql" { plugin_data {} }
    KeyManager "memory" { plugin_data {} }
    NodeAttestor "join_token" {})"));
  ASSERT_OK(config);
  EXPECT_FALSE(config->options.keys_on_disk);
}

TEST(AuthorityConfigTest, WarnsOnceOfEachThingWithoutEffect) {
  const auto config = Parse(Text("experimental { cache_reload_interval = \"1s\" }", R"(
    DataStore "sql" {
      plugin_data { database_type = "sqlite3" connection_string = "/elsewhere.sqlite3" }
    }
    KeyManager "disk" { plugin_data { keys_path = "/d/keys.json" } }
    NodeAttestor "join_token" { plugin_data {} })"));
  ASSERT_OK(config);
  EXPECT_THAT(config->warnings,
              ElementsAre(HasSubstr("cache_reload_interval has no effect"),
                          HasSubstr("/d/datastore.sqlite3 is used"), HasSubstr("/d/keys is used")));
}

TEST(AuthorityConfigTest, AcceptsTheDefaultSubjectAndADatabaseWhereItIs) {
  const auto config =
      Parse(Text("ca_subject { country = [\"US\"] organization = [\"SPIFFE\"] }", R"(
    DataStore "sql" {
      plugin_data { database_type = "sqlite3" connection_string = "/d/datastore.sqlite3" }
    }
    KeyManager "disk" { plugin_data {} }
    NodeAttestor "join_token" { plugin_data {} })"));
  ASSERT_OK(config);
  EXPECT_THAT(config->warnings, IsEmpty());
}

TEST(AuthorityConfigTest, RefusesLifetimesOfNothing) {
  for (std::string_view option : {"ca_ttl", "agent_ttl", "default_x509_svid_ttl"}) {
    EXPECT_THAT(Parse(Text(fmt::format("{} = \"0s\"", option))),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must be at least 1s")));
  }
}

TEST(AuthorityConfigTest, ReadsJsonToo) {
  const auto config = Parse(R"({"server": {"trust_domain": "example.org", "data_dir": "/d"},
    "plugins": {"DataStore": {"sql": {"plugin_data": {"database_type": "sqlite3"}}},
                "KeyManager": {"disk": {"plugin_data": {}}},
                "NodeAttestor": {"join_token": {"plugin_data": {}}}}})");
  ASSERT_OK(config);
  EXPECT_EQ(config->options.trust_domain.name(), "example.org");
}

TEST(AuthorityConfigTest, ExpandsTheEnvironmentWhenAsked) {
  const TempFolder folder;
  const std::string path = folder.path() + "/server.conf";
  ASSERT_OK(WriteFileAtomically(path, Text("jwt_issuer = \"${ASSAY_A}$ASSAY_B-$ASSAY_C$\""), 0600));
  setenv("ASSAY_A", "one", 1);
  setenv("ASSAY_B", "two", 1);
  const auto expanded = LoadAuthorityConfig(path, true, {});
  const auto plain = LoadAuthorityConfig(path, false, {});
  ASSERT_OK(expanded);
  ASSERT_OK(plain);
  EXPECT_EQ(expanded->options.jwt_issuer, "onetwo-$");
  EXPECT_EQ(plain->options.jwt_issuer, "${ASSAY_A}$ASSAY_B-$ASSAY_C$");
}

TEST(AuthorityConfigTest, SaysWhichFileIsMissing) {
  EXPECT_THAT(LoadAuthorityConfig("/nonexistent/server.conf", false, {}),
              StatusIs(absl::StatusCode::kNotFound,
                       "could not find config file /nonexistent/server.conf: please use the "
                       "-config flag"));
}

}  // namespace
}  // namespace assay
