// SPDX-License-Identifier: GPL-3.0-or-later
// External plugins in the agent's configuration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/config.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kSum =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string With(std::string_view plugins, std::string_view agent = "") {
  return fmt::format(R"(agent {{ trust_domain = "domain.test" server_address = "s"
    server_port = 8081 insecure_bootstrap = true {} }}
    plugins {{ KeyManager "memory" {{}} {} }})",
                     agent, plugins);
}

absl::StatusOr<AgentConfig> Parse(std::string_view text) {
  return ParseAgentConfig("f", text, ConfigOverrides{}, [](const std::string& name) {
    return absl::StatusOr<Secret>(Secret("of " + name));
  });
}

std::string ErrorOf(std::string_view plugins) {
  const auto config = Parse(With(plugins));
  return config.ok() ? "" : std::string(Message(config.status()));
}

constexpr std::string_view kToken = "NodeAttestor \"join_token\" {}";

TEST(ExternalPluginConfigTest, ReadsAllThatThePluginsProcessNeeds) {
  const auto config = Parse(With(fmt::format(R"({} WorkloadAttestor "test-wa" {{
      plugin_cmd = "/bin/wa" plugin_args = ["-v", "x"] plugin_checksum = "{}" plugin_user = "nobody"
      plugin_data {{ a = 1 b {{ c = "d" }} }} }})",
                                             kToken, kSum)));
  ASSERT_OK(config.status());
  ASSERT_EQ(config->external_plugins.size(), 1U);
  const ExternalPlugin& plugin = config->external_plugins[0];
  EXPECT_EQ(plugin.plugin, (PluginName{PluginType::kWorkloadAttestor, "test-wa"}));
  EXPECT_EQ(plugin.command, "/bin/wa");
  EXPECT_THAT(plugin.arguments, ElementsAre("-v", "x"));
  EXPECT_EQ(plugin.checksum, kSum);
  EXPECT_EQ(plugin.user, "nobody");
  ASSERT_TRUE(plugin.data.has_value());
  EXPECT_EQ(plugin.data->Reveal(), "a = 1\nb {\n  c = \"d\"\n}\n");
  EXPECT_FALSE(plugin.data_in_file);
  EXPECT_FALSE(config->unix_attestor.has_value());
}

TEST(ExternalPluginConfigTest, NoOptionsAndEmptyOnesAreTheSame) {
  for (const char* data : {"", "plugin_data {}", "plugin_data { }", "plugin_checksum = \"\""}) {
    const auto config = Parse(
        With(fmt::format("{} WorkloadAttestor \"w\" {{ plugin_cmd = \"/w\" {} }}", kToken, data)));
    ASSERT_OK(config.status()) << data;
    EXPECT_FALSE(config->external_plugins[0].data.has_value()) << data;
  }
}

TEST(ExternalPluginConfigTest, AFileOfOptionsIsTakenAsItIs) {
  const auto config = Parse(With(fmt::format(
      "{} WorkloadAttestor \"w\" {{ plugin_cmd = \"/w\" plugin_data_file = \"/data\" }}", kToken)));
  ASSERT_OK(config.status());
  EXPECT_EQ(config->external_plugins[0].data->Reveal(), "of /data");
  EXPECT_TRUE(config->external_plugins[0].data_in_file);
  ASSERT_EQ(config->plugin_files.size(), 1U);
  const auto changes = ComparePluginFile("other", config->plugin_files[0]);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(changes[0].reloads);
}

TEST(ExternalPluginConfigTest, EachTypeThatCanBeExternal) {
  const auto config = Parse(With(R"(NodeAttestor "custom" { plugin_cmd = "/n" }
      WorkloadAttestor "unix" { plugin_cmd = "/w" } WorkloadAttestor "off" { plugin_cmd = "/o"
      enabled = false } SVIDStore "disk" { plugin_cmd = "/s" } SVIDStore "two" { plugin_cmd = "/t" })"));
  ASSERT_OK(config.status());
  std::vector<std::string> names;
  for (const ExternalPlugin& plugin : config->external_plugins) {
    names.push_back(plugin.plugin.ToString());
  }
  EXPECT_THAT(names, ElementsAre("nodeattestor(custom)", "workloadattestor(unix)",
                                 "svidstore(disk)", "svidstore(two)"));
  EXPECT_EQ(config->node_attestor, AgentConfig::Attestor::kPlugin);
  EXPECT_TRUE(config->HasExternal(PluginType::kSvidStore));
}

TEST(ExternalPluginConfigTest, AJoinTokenGoesBeforeANodeAttestor) {
  const auto config =
      Parse(With(R"(NodeAttestor "custom" { plugin_cmd = "/n" } WorkloadAttestor "unix" {})",
                 "join_token = \"t\""));
  ASSERT_OK(config.status());
  EXPECT_EQ(config->node_attestor, AgentConfig::Attestor::kJoinToken);
  EXPECT_TRUE(config->external_plugins.empty());
}

TEST(ExternalPluginConfigTest, TellsMistakes) {
  const struct {
    std::string plugins;
    const char* words;
  } kCases[] = {
      {R"(NodeAttestor "join_token" { plugin_cmd = "/n" })", "cannot be overridden"},
      {R"(NodeAttestor "a" { plugin_cmd = "/n" } NodeAttestor "b" { plugin_cmd = "/n" })",
       "only one NodeAttestor can be used"},
      {R"(NodeAttestor "a" { plugin_cmd = "/n" } NodeAttestor "sshpop" {})",
       "only one NodeAttestor can be used"},
      {R"(WorkloadAttestor "w" { plugin_cmd = "/w" plugin_checksum = "zz" })",
       "plugin_checksum: checksum is not a valid hex string"},
      {R"(WorkloadAttestor "w" { plugin_cmd = "/w" plugin_checksum = "ab" })",
       "expected checksum of length 64; got 2"},
      {R"(WorkloadAttestor "w" { plugin_cmd = "/w" plugin_arg = ["x"] })",
       "unknown option \"plugin_arg\""},
      {R"(WorkloadAttestor "w" { plugin_cmd = "/w" plugin_data {} plugin_data_file = "/d" })",
       "only one of plugin_data, plugin_data_file can be used"},
      {R"(WorkloadAttestor "w" { plugin_cmd = "/w" plugin_data = "x" })", "expected one block"},
      {R"(SVIDStore "aws_secretsmanager" {})", "is not supported without a plugin_cmd"},
      {R"(KeyManager "disk" { plugin_cmd = "/k" })", "plugin_cmd is not supported"},
  };
  for (const auto& [plugins, words] : kCases) {
    EXPECT_THAT(ErrorOf(plugins), HasSubstr(words)) << plugins;
  }
}

TEST(ExternalPluginConfigTest, WithoutACommandItsOtherOptionsHaveNoEffect) {
  const auto config =
      Parse(With(fmt::format("{} WorkloadAttestor \"unix\" {{ plugin_args = [\"x\"] }}", kToken)));
  ASSERT_OK(config.status());
  EXPECT_THAT(config->warnings,
              ElementsAre(HasSubstr("plugin_args has no effect: only with plugin_cmd")));
}

}  // namespace
}  // namespace assay
