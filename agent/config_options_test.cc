// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// With these lines in the agent's block, and in the plugins'.
std::string Config(std::string_view agent, std::string_view plugins) {
  return fmt::format(R"(agent {{ trust_domain = "domain.test" server_address = "s"
      server_port = 8081 trust_bundle_path = "/b.crt" {} }}
    plugins {{ KeyManager "memory" {{}} WorkloadAttestor "unix" {{}} {} }})",
                     agent, plugins);
}
constexpr std::string_view kJoinToken = "NodeAttestor \"join_token\" {}";

absl::StatusOr<AgentConfig> ParseAgent(std::string_view lines) {
  return ParseAgentConfig("f", Config(lines, kJoinToken), ConfigOverrides{});
}

std::vector<std::string> Told(const std::vector<OptionChange>& changes) {
  std::vector<std::string> told;
  for (const OptionChange& change : changes) {
    told.push_back(change.path + (change.reloads ? " now" : ""));
  }
  return told;
}

TEST(ConfigOptionsTest, AnAuditLogNeedsAFileAndRefusesUnlessToldOtherwise) {
  using When = AuditLogConfig::WhenUnwritable;
  EXPECT_EQ(ParseAgent("")->audit_log.file, "");
  const auto refuses = ParseAgent(R"(audit_log { file = "/a" })");
  ASSERT_OK(refuses);
  EXPECT_EQ(refuses->audit_log.file, "/a");
  EXPECT_EQ(refuses->audit_log.when_unwritable, When::kRefuse);
  EXPECT_EQ(ParseAgent(R"(audit_log { file = "/a" when_unwritable = "serve" })")
                ->audit_log.when_unwritable,
            When::kServe);
  EXPECT_THAT(ParseAgent("audit_log {}"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("audit_log.file")));
  EXPECT_FALSE(ParseAgent(R"(audit_log { file = "/a" when_unwritable = "wait" })").ok());
}

TEST(ConfigOptionsTest, OfANodeAttestorEachOptionSaysWhetherItIsTakenUp) {
  const auto with = [](std::string_view data) {
    return Config("", fmt::format("NodeAttestor \"tpm_devid\" {{ plugin_data {{ {} }} }}", data));
  };
  EXPECT_THAT(Told(CompareAgentConfigs(
                  with(R"(devid_cert_path = "/a")"),
                  with(R"(devid_cert_path = "/b" tpm_device_path = "/dev/tpmrm1")"), {})),
              ElementsAre("plugins.NodeAttestor \"tpm_devid\".plugin_data.tpm_device_path",
                          "plugins.NodeAttestor \"tpm_devid\".plugin_data.devid_cert_path now"));
}

TEST(ConfigOptionsTest, SoDoesEachInAFileOfOptions) {
  const std::string before =
      R"(devid_cert_path = "/a" devid_priv_path = "/r" devid_pub_path = "/u")";
  const auto read = [&before](const std::string&) -> absl::StatusOr<Secret> {
    return Secret(before + R"( tpm_device_path = "/dev/tpmrm1" devid_password = "p")");
  };
  const auto config = ParseAgentConfig(
      "f", Config("", "NodeAttestor \"tpm_devid\" { plugin_data_file = \"/data\" }"),
      ConfigOverrides{}, read);
  ASSERT_OK(config);
  ASSERT_EQ(config->plugin_files.size(), 1U);
  EXPECT_THAT(
      Told(ComparePluginFile(before, config->plugin_files[0])),
      ElementsAre("plugins.NodeAttestor \"tpm_devid\".plugin_data_file.tpm_device_path",
                  "plugins.NodeAttestor \"tpm_devid\".plugin_data_file.devid_password now"));
  EXPECT_THAT(ComparePluginFile(config->plugin_files[0].text.Reveal(), config->plugin_files[0]),
              IsEmpty());
}

TEST(ConfigOptionsTest, AnotherFileOfOptionsIsTakenUp) {
  const auto with = [](std::string_view file) {
    return Config("",
                  fmt::format("NodeAttestor \"x509pop\" {{ plugin_data_file = \"{}\" }}", file));
  };
  EXPECT_THAT(Told(CompareAgentConfigs(with("/a"), with("/b"), {})),
              ElementsAre("plugins.NodeAttestor \"x509pop\".plugin_data_file now"));
}

TEST(ConfigOptionsTest, UpstreamsAreChosenByPickFirst) {
  const auto with = [](std::string_view policies) {
    return ParseAgent(
        fmt::format("experimental {{ server_load_balancing_config = \"{}\" }}", policies));
  };
  for (const std::string_view taken :
       {"", R"([{\"pick_first\": {}}])", R"({\"loadBalancingConfig\": [{\"pick_first\": {}}]})"}) {
    const auto config = with(taken);
    ASSERT_OK(config) << taken;
    EXPECT_THAT(config->warnings, IsEmpty()) << taken;
  }
  const auto robin = with(R"([{\"round_robin\": {}}])");
  ASSERT_OK(robin);
  EXPECT_THAT(robin->warnings, ElementsAre(HasSubstr("round_robin has no effect")));
  EXPECT_THAT(with(R"([{\"ring_hash\": {}}])"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("policy \"ring_hash\" is not supported")));
  for (const std::string_view broken : {"x", "5", "{}", "[]", "[5]", "[{}]"}) {
    EXPECT_THAT(with(broken),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no list of policies")))
        << broken;
  }
}

TEST(ConfigOptionsTest, WithoutAnyApiThereIsNoPublicSocket) {
  EXPECT_EQ(ParseAgent("")->PublicSocket(), kDefaultSocketPath);
  EXPECT_EQ(ParseAgent("disable_workload_api = true")->PublicSocket(), kDefaultSocketPath);
  EXPECT_EQ(ParseAgent("disable_sds_api = true")->PublicSocket(), kDefaultSocketPath);
  EXPECT_EQ(ParseAgent("disable_workload_api = true disable_sds_api = true")->PublicSocket(), "");
}

TEST(ConfigOptionsTest, ReadsWhatSdsIsServedAs) {
  const auto unset = ParseAgent("");
  ASSERT_OK(unset);
  EXPECT_EQ(unset->sds.default_svid_name, "default");
  EXPECT_EQ(unset->sds.default_bundle_name, "ROOTCA");
  EXPECT_EQ(unset->sds.default_all_bundles_name, "ALL");
  EXPECT_FALSE(unset->sds.disable_spiffe_cert_validation);
  const auto config = ParseAgent(R"(sds { default_svid_name = "me" default_bundle_name = "us"
      default_all_bundles_name = "them" disable_spiffe_cert_validation = true })");
  ASSERT_OK(config);
  EXPECT_EQ(config->sds.default_svid_name, "me");
  EXPECT_EQ(config->sds.default_bundle_name, "us");
  EXPECT_EQ(config->sds.default_all_bundles_name, "them");
  EXPECT_TRUE(config->sds.disable_spiffe_cert_validation);
}

}  // namespace
}  // namespace assay
