// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/reflection_service.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "grpc/reflection/v1/reflection.pb.h"
#include "tests/support/test_server.h"
#include "workload-api/health_service.h"

namespace assay {
namespace {

using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kMethod[] = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

class ReflectionServiceTest : public testing::Test {
 protected:
  ReflectionServiceTest() {
    health_.AddTo(server_.registry);
    AddReflection(server_.registry);
    server_.Start();
    client_ = server_.Connect();
  }

  ServerReflectionResponse Ask(const ServerReflectionRequest& request,
                               const std::string& method = kMethod) {
    ServerReflectionResponse response;
    const auto& answer = client_->Call(method, request.SerializeAsString());
    EXPECT_EQ(answer.status(), 0);
    EXPECT_EQ(answer.messages().size(), 1u);
    EXPECT_TRUE(response.ParseFromString(answer.messages().at(0)));
    return response;
  }
  static std::vector<std::string> FileNames(const ServerReflectionResponse& response) {
    std::vector<std::string> names;
    for (const auto& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      EXPECT_TRUE(file.ParseFromString(bytes));
      names.push_back(file.name());
    }
    return names;
  }

  HealthService health_{true};
  TestServer server_;
  std::unique_ptr<Http2Client> client_;
};

// WLEP-21
TEST_F(ReflectionServiceTest, ListsAllServicesInBothVersions) {
  ServerReflectionRequest request;
  request.set_list_services("");
  for (const std::string version : {"v1", "v1alpha"}) {
    const ServerReflectionResponse response =
        Ask(request, "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo");
    std::vector<std::string> names;
    for (const auto& service : response.list_services_response().service()) {
      names.push_back(service.name());
    }
    EXPECT_THAT(names, ElementsAre("grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                   "grpc.reflection.v1alpha.ServerReflection"));
  }
}

TEST_F(ReflectionServiceTest, FindsTheFileOfAServiceMethodOrMessage) {
  for (const char* symbol : {"grpc.health.v1.Health", "grpc.health.v1.Health.Check",
                             "grpc.health.v1.HealthCheckRequest.service"}) {
    ServerReflectionRequest request;
    request.set_file_containing_symbol(symbol);
    EXPECT_THAT(FileNames(Ask(request)), ElementsAre("grpc/health/v1/health.proto")) << symbol;
  }
}

TEST_F(ReflectionServiceTest, FindsAFileByName) {
  ServerReflectionRequest request;
  request.set_file_by_filename("grpc/reflection/v1alpha/reflection.proto");
  EXPECT_THAT(FileNames(Ask(request)), ElementsAre("grpc/reflection/v1alpha/reflection.proto"));
}

TEST_F(ReflectionServiceTest, AnswersUnknownNamesInsideTheStream) {
  ServerReflectionRequest request;
  request.set_file_containing_symbol("no.such.Thing");
  const ServerReflectionResponse response = Ask(request);
  EXPECT_EQ(response.error_response().error_code(), 5);
  EXPECT_EQ(response.error_response().error_message(), "\"no.such.Thing\" is not known");
  EXPECT_EQ(response.original_request().file_containing_symbol(), "no.such.Thing");
}

TEST_F(ReflectionServiceTest, KnowsThatATypeHasNoExtensions) {
  ServerReflectionRequest request;
  request.set_all_extension_numbers_of_type("grpc.health.v1.HealthCheckRequest");
  EXPECT_THAT(Ask(request).all_extension_numbers_response().extension_number(), IsEmpty());
  request.mutable_file_containing_extension()->set_containing_type(
      "grpc.health.v1.HealthCheckRequest");
  EXPECT_EQ(Ask(request).error_response().error_code(), 5);
}

TEST_F(ReflectionServiceTest, RefusesAQuestionWithoutContent) {
  EXPECT_EQ(client_->Call(kMethod, "").status(), 3);
  EXPECT_EQ(client_->Call(kMethod, "\xff").status(), 3);
}

TEST_F(ReflectionServiceTest, RefusesALargeRequestWithoutRepeatingIt) {
  ServerReflectionRequest request;
  request.set_file_by_filename(std::string(2000, 'x'));
  const auto& answer = client_->Call(kMethod, request.SerializeAsString());
  EXPECT_EQ(answer.status(), 3);
  EXPECT_THAT(answer.messages(), IsEmpty());
}

TEST_F(ReflectionServiceTest, EndsTheCallOfACallerThatAsksWithoutReading) {
  ServerReflectionRequest request;
  request.set_file_by_filename("google/protobuf/descriptor.proto");
  std::string many;
  for (int i = 0; i < 1000; ++i) {
    many += Http2Client::Framed(request.SerializeAsString());
  }
  const int32_t call = client_->Open(Http2Client::GrpcHeaders(kMethod));
  client_->Send(call, many);
  const auto& answer = client_->WaitClosed(call);
  EXPECT_EQ(answer.status(), 8);
  EXPECT_LT(answer.data.size(), 64u << 10);
}

}  // namespace
}  // namespace assay
