// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace assay {
namespace {

TEST(MetricsNamesTest, MethodsAreCalledAsSpireAgentCallsThem) {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"/SpiffeWorkloadAPI/FetchX509SVID", "workload_api_fetch_x509svid"},
      {"/SpiffeWorkloadAPI/FetchJWTBundles", "workload_api_fetch_jwt_bundles"},
      {"/SpiffeWorkloadAPI/FetchX509Bundles", "workload_api_fetch_x509_bundles"},
      {"/SpiffeWorkloadAPI/ValidateJWTSVID", "workload_api_validate_jwtsvid"},
      {"/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets", "sds_v3_stream_secrets"},
      {"/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets", "sds_v3_delta_secrets"},
      {"/SpiffeWorkloadAPI/FetchJWTSVID", "workload_api_fetch_jwtsvid"},
      {"/grpc.health.v1.Health/Check", "health_check"},
      {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
       "grpc_reflection_v1_server_reflection_server_reflection_info"},
      {"/spire.agent.debug.v1.Debug/GetInfo", "debug_get_info"},
      {"/spire.api.agent.logger.v1.Logger/SetLogLevel", "logger_set_log_level"},
      {"/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/SubscribeToX509SVIDs",
       "delegated_identity_subscribe_to_x509_svids"},
  };
  for (const auto& [method, name] : names) {
    EXPECT_EQ(MethodName(method), name);
  }
}

TEST(MetricsNamesTest, MethodsThatAreNotServedHaveOneNameForAll) {
  for (const std::string& method :
       {std::string(), std::string("/"), std::string("///"), std::string("a\n# {}\"/\xff B."),
        std::string(5000, 'A'), std::string("x/") + std::string(5000, '.'),
        std::string("/SpiffeWorkloadAPI/"), std::string("/SpiffeWorkloadAPI/Other"),
        std::string("SpiffeWorkloadAPI/FetchX509SVID"), std::string("/other.Service/Check")}) {
    EXPECT_EQ(MethodName(method), "other") << method;
  }
}

TEST(MetricsNamesTest, ConnectionsAreCountedOfTheApisThatSpireAgentCountsThemOf) {
  EXPECT_EQ(ApiName("SpiffeWorkloadAPI"), "workload_api");
  EXPECT_EQ(ApiName("envoy.service.secret.v3.SecretDiscoveryService"), "sds_api");
  EXPECT_EQ(ApiName("spire.agent.debug.v1.Debug"), "debug_api");
  EXPECT_EQ(ApiName("grpc.health.v1.Health"), "");
  EXPECT_EQ(ApiName("a\n"), "");
}

TEST(MetricsNamesTest, LabelsAreOfLettersDigitsAndUnderscores) {
  EXPECT_EQ(SanitizedLabel("d.test"), "d_test");
  EXPECT_EQ(SanitizedLabel("1.16.0-dev-ef85+_x"), "1_16_0_dev_ef85_x");
  EXPECT_EQ(SanitizedLabel("a\n\"b\xff"), "a_b_");
}

TEST(MetricsNamesTest, CodesAreCalledAsGoCallsThem) {
  EXPECT_EQ(StatusName(absl::StatusCode::kOk), "OK");
  EXPECT_EQ(StatusName(absl::StatusCode::kCancelled), "Canceled");
  EXPECT_EQ(StatusName(absl::StatusCode::kUnauthenticated), "Unauthenticated");
  EXPECT_EQ(StatusName(static_cast<absl::StatusCode>(-1)), "Code(-1)");
}

}  // namespace
}  // namespace assay
