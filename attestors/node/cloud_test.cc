// SPDX-License-Identifier: GPL-3.0-or-later
// The attestors of clouds, against the metadata services as these are documented.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "attestors/node/aws_iid.h"
#include "attestors/node/azure_imds.h"
#include "attestors/node/gcp_iit.h"
#include "tests/support/fake_metadata_service.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using Json = nlohmann::json;

class AwsIidTest : public testing::Test {
 protected:
  AwsIidTest() {
    service_.Set("PUT /latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300", "session");
    for (const char* part : {"document", "signature", "rsa2048"}) {
      service_.Set(fmt::format("GET /latest/dynamic/instance-identity/{}", part),
                   "X-aws-ec2-metadata-token: session", std::string("the ") + part + "\n");
    }
  }

  FakeMetadataService service_;
  AwsIidAttestor attestor_{{.ec2_metadata_endpoint = service_.url()}};
};

TEST_F(AwsIidTest, ShowsTheDocumentAndBothSignatures) {
  EXPECT_EQ(attestor_.type(), "aws_iid");
  const auto attestation = attestor_.Begin();
  ASSERT_OK(attestation);
  EXPECT_EQ(Json::parse((*attestation)->Payload()->Reveal()),
            (Json{{"document", "the document\n"},
                  {"signature", "the signature\n"},
                  {"rsa2048", "the rsa2048\n"}}));
  EXPECT_THAT((*attestation)->Answer("x"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("aws_iid")));
}

TEST_F(AwsIidTest, SaysWhatTheServiceRefused) {
  service_.Set("GET /latest/dynamic/instance-identity/rsa2048", "", "", 404);
  EXPECT_THAT(attestor_.Begin(), StatusIs(StatusCode::kUnavailable, HasSubstr("rsa2048")));
  service_.Set("PUT /latest/api/token", "", "", 403);
  EXPECT_THAT(attestor_.Begin(), StatusIs(StatusCode::kUnavailable, HasSubstr("hop limit")));
  EXPECT_THAT(AwsIidAttestor({.ec2_metadata_endpoint = "http://127.0.0.1:1"}).Begin(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("EC2")));
}

TEST(GcpIitTest, ShowsTheTokenOfItsServiceAccount) {
  FakeMetadataService service;
  service.Set(
      "GET /computeMetadata/v1/instance/service-accounts/a%40b/identity?"
      "audience=spire-gcp-node-attestor&format=full",
      "Metadata-Flavor: Google", "a.b.c");
  GcpIitAttestor attestor({.identity_token_host = service.host(), .service_account = "a@b"});
  EXPECT_EQ(attestor.type(), "gcp_iit");
  const auto attestation = attestor.Begin();
  ASSERT_OK(attestation);
  EXPECT_EQ((*attestation)->Payload()->Reveal(), "a.b.c");
  EXPECT_THAT(GcpIitAttestor({.identity_token_host = service.host()}).Begin(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("404")));
}

class AzureImdsTest : public testing::Test {
 protected:
  static constexpr const char* kMachine =
      "GET /metadata/instance?api-version=2025-04-07&format=json";
  AzureImdsTest() {
    SetDocument(R"({"encoding":"pkcs7","signature":"c2ln"})");
    service_.Set(kMachine, "Metadata: true", R"({"compute":{"name":"vm","vmScaleSetName":""}})");
  }
  void SetDocument(const std::string& body) {
    service_.Set("GET /metadata/attested/document?api-version=2025-04-07&nonce=a%20b",
                 "Metadata: true", body);
  }
  absl::StatusOr<std::string> Answer(std::string_view nonce = "a b") {
    return attestor_.Begin().value()->Answer(nonce);
  }

  FakeMetadataService service_;
  AzureImdsAttestor attestor_{{.tenant_domain = "example.org", .endpoint = service_.url()}};
};

TEST_F(AzureImdsTest, AnswersTheNonceWithTheAttestedDocument) {
  EXPECT_EQ(attestor_.type(), "azure_imds");
  EXPECT_EQ(attestor_.Begin().value()->Payload()->Reveal(), "non_empty_payload");
  Json wanted = {{"document", {{"encoding", "pkcs7"}, {"signature", "c2ln"}}},
                 {"metadata", {{"agentDomain", "example.org"}, {"vmssName", nullptr}}}};
  EXPECT_EQ(Json::parse(Answer().value()), wanted);
  service_.Set(kMachine, "Metadata: true", R"({"compute":{"vmScaleSetName":"set"}})");
  wanted["metadata"]["vmssName"] = "set";
  EXPECT_EQ(Json::parse(Answer().value()), wanted);
}

TEST_F(AzureImdsTest, SaysWhatIsWrong) {
  EXPECT_THAT(Answer(""), StatusIs(StatusCode::kInvalidArgument, HasSubstr("nonce")));
  EXPECT_THAT(Answer("other"), StatusIs(StatusCode::kUnavailable, HasSubstr("attested document")));
  SetDocument(R"({"encoding":"pkcs7"})");
  EXPECT_THAT(Answer(), StatusIs(StatusCode::kUnavailable, HasSubstr("missing its signature")));
  SetDocument("no json");
  EXPECT_THAT(Answer(), StatusIs(StatusCode::kUnavailable, HasSubstr("unable to decode")));
  SetDocument(R"({"encoding":"pkcs7","signature":"c2ln"})");
  service_.Set(kMachine, "", "", 500);
  EXPECT_THAT(Answer(), StatusIs(StatusCode::kUnavailable, HasSubstr("compute metadata")));
}

}  // namespace
}  // namespace assay
