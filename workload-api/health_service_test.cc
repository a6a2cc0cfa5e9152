// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/health_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grpc/health/v1/health.pb.h"
#include "tests/support/test_server.h"

namespace assay {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using testing::ElementsAre;

class HealthServiceTest : public testing::Test {
 protected:
  HealthServiceTest() {
    service_.AddTo(server_.registry);
    server_.Start();
    client_ = server_.Connect();
  }

  static std::string AskFor(const std::string& name) {
    HealthCheckRequest request;
    request.set_service(name);
    return request.SerializeAsString();
  }
  static std::string Says(HealthCheckResponse::ServingStatus status) {
    HealthCheckResponse response;
    response.set_status(status);
    return response.SerializeAsString();
  }

  HealthService service_{false};
  TestServer server_;
  std::unique_ptr<Http2Client> client_;
};

TEST_F(HealthServiceTest, ChecksTheServerAsAWhole) {
  EXPECT_THAT(client_->Call("/grpc.health.v1.Health/Check", AskFor("")).messages(),
              ElementsAre(Says(HealthCheckResponse::NOT_SERVING)));
  service_.SetServing(true);
  EXPECT_THAT(client_->Call("/grpc.health.v1.Health/Check", AskFor("")).messages(),
              ElementsAre(Says(HealthCheckResponse::SERVING)));
}

TEST_F(HealthServiceTest, RefusesToSpeakOfSingleServices) {
  for (const char* method : {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}) {
    const auto& answer = client_->Call(method, AskFor("SpiffeWorkloadAPI"));
    EXPECT_EQ(answer.status(), 3);
    EXPECT_EQ(answer.message(), "per-service health is not supported");
  }
}

TEST_F(HealthServiceTest, TellsWatchersOfChangesOnly) {
  const int32_t call = client_->Start("/grpc.health.v1.Health/Watch", AskFor(""));
  client_->WaitMessages(call, 1);
  service_.SetServing(false);
  service_.SetServing(true);
  EXPECT_THAT(
      client_->WaitMessages(call, 2).messages(),
      ElementsAre(Says(HealthCheckResponse::NOT_SERVING), Says(HealthCheckResponse::SERVING)));
}

TEST_F(HealthServiceTest, ForgetsAWatcherThatLeft) {
  const int32_t call = client_->Start("/grpc.health.v1.Health/Watch", AskFor(""));
  client_->WaitMessages(call, 1);
  client_->Reset(call);
  client_->Call("/grpc.health.v1.Health/Check", AskFor(""));
  service_.SetServing(true);
  EXPECT_EQ(client_->stream(call).messages().size(), 1u);
}

}  // namespace
}  // namespace assay
