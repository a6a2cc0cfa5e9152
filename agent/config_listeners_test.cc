// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_listeners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

absl::StatusOr<AgentConfig> ParseWith(std::string_view blocks) {
  return ParseAgentConfig("f",
                          fmt::format(R"(agent {{ trust_domain = "domain.test"
      server_address = "s" server_port = 8081 trust_bundle_path = "/b.crt" }}
    plugins {{ KeyManager "memory" {{}} WorkloadAttestor "unix" {{}} NodeAttestor "join_token" {{}} }}
    {})",
                                      blocks),
                          ConfigOverrides{});
}

TEST(ConfigListenersTest, HealthIsToldOnPort80OfThisMachineWhenAskedFor) {
  const auto unset = ParseWith("");
  ASSERT_OK(unset);
  EXPECT_FALSE(unset->health.listener_enabled);
  const auto enabled = ParseWith("health_checks { listener_enabled = true bind_address = \"\" }");
  ASSERT_OK(enabled);
  EXPECT_TRUE(enabled->health.listener_enabled);
  EXPECT_EQ(enabled->health.bind_address, "localhost");
  EXPECT_EQ(enabled->health.bind_port, 80);
  EXPECT_EQ(enabled->health.live_path, "/live");
  EXPECT_EQ(enabled->health.ready_path, "/ready");
}

TEST(ConfigListenersTest, TakesHealthsAddressPortAndPathsAsSpireAgentDoes) {
  const auto config = ParseWith(
      "health_checks { listener_enabled = true bind_address = \"[::1]\" bind_port = \"8080\" "
      "live_path = \"/a\" ready_path = \"/b\" }");
  ASSERT_OK(config);
  EXPECT_EQ(config->health.bind_address, "::1");
  EXPECT_EQ(config->health.bind_port, 8080);
  EXPECT_EQ(config->health.live_path, "/a");
  EXPECT_EQ(config->health.ready_path, "/b");
}

TEST(ConfigListenersTest, RefusesPathsThatCannotBeServed) {
  EXPECT_THAT(ParseWith("health_checks { live_path = \"live\" }"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("health_checks.live_path must begin with a slash")));
  EXPECT_THAT(ParseWith("health_checks { listener_enabled = true live_path = \"/ready\" }"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("must differ")));
  EXPECT_THAT(ParseWith("health_checks { bind_port = 0 }"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("bind_port")));
}

TEST(ConfigListenersTest, LooksUpNoNames) {
  for (const std::string block :
       {"health_checks { bind_address = \"node.example\" }",
        "telemetry { Prometheus { port = 1 host = \"node.example\" } }"}) {
    EXPECT_THAT(ParseWith(block), StatusIs(StatusCode::kInvalidArgument,
                                           HasSubstr("must be an IP address or localhost")));
  }
}

TEST(ConfigListenersTest, MetricsAreToldWhereAPortIsGiven) {
  EXPECT_FALSE(ParseWith("")->telemetry.prometheus.enabled);
  const auto config = ParseWith(
      "telemetry { Prometheus { port = 9988 } MetricPrefix = \"a_b\" EnableHostnameLabel = false "
      "AllowedLabels = [\"status\"] InMem {} }");
  ASSERT_OK(config);
  EXPECT_TRUE(config->telemetry.prometheus.enabled);
  EXPECT_EQ(config->telemetry.prometheus.host, "localhost");
  EXPECT_EQ(config->telemetry.prometheus.port, 9988);
  EXPECT_FALSE(config->telemetry.prometheus.tls.enabled);
  EXPECT_EQ(config->telemetry.metric_prefix, "a_b");
  EXPECT_FALSE(config->telemetry.enable_hostname_label);
  EXPECT_THAT(config->telemetry.allowed_labels, testing::ElementsAre("status"));
}

TEST(ConfigListenersTest, RefusesMetricsThatCannotBeTold) {
  const std::pair<std::string, std::string> bad[] = {
      {"telemetry { Prometheus { } }", "telemetry.Prometheus.port must be configured"},
      {"telemetry { MetricPrefix = \"a-b\" }", "letters, digits and underscores"},
      {"telemetry { MetricPrefix = \"1a\" }", "letters, digits and underscores"},
      {"telemetry { Prometheus { port = 1 tls { } } }", "cert_file and key_file must be"},
      {"telemetry { Prometheus { port = 1 tls { cert_file = \"c\" } } }",
       "cert_file and key_file must be"},
      {"telemetry { Prometheus { port = 1 tls { use_spire_svid = true key_file = \"k\" } } }",
       "leaves no use"},
      {"telemetry { Prometheus { port = 1 tls { use_spire_svid = true client_ca_file = \"c\" "
       "authorized_spiffe_ids = [\"spiffe://a/b\"] } } }",
       "only one of client_ca_file"},
      {"telemetry { Prometheus { port = 1 tls { use_spire_svid = true "
       "authorized_spiffe_ids = [\"a\"] } } }",
       "authorized_spiffe_ids: "},
  };
  for (const auto& [block, words] : bad) {
    EXPECT_THAT(ParseWith(block), StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)));
  }
}

}  // namespace
}  // namespace assay
