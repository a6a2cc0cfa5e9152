// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/node_attestor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spire/plugin/agent/nodeattestor/v1/nodeattestor.pb.h"
#include "tests/support/fake_plugin.h"

namespace assay {
namespace {

namespace nodeattestor = spire::plugin::agent::nodeattestor::v1;

using testing::HasSubstr;

constexpr char kAid[] = "/spire.plugin.agent.nodeattestor.v1.NodeAttestor/AidAttestation";

rpc::SharedFrame Payload(const std::string& payload) {
  nodeattestor::PayloadOrChallengeResponse message;
  message.set_payload(payload);
  return std::make_shared<const rpc::Frame>(message);
}

rpc::SharedFrame Response(const std::string& response) {
  nodeattestor::PayloadOrChallengeResponse message;
  message.set_challenge_response(response);
  return std::make_shared<const rpc::Frame>(message);
}

class NodeAttestorPluginTest : public testing::Test {
 protected:
  // Speaks first with the payload, then answers each challenge with it and "!".
  void Serve(const std::string& payload) {
    server_.OnStream(
        kAid,
        [](rpc::Call& call, std::string_view bytes) {
          nodeattestor::Challenge challenge;
          challenge.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
          if (challenge.challenge() == "fail") {
            call.Finish(PermissionDenied("not this one"));
          } else if (challenge.challenge() == "end") {
            call.Finish(absl::OkStatus());
          } else {
            call.Send(
                Response(challenge.challenge() == "empty" ? "" : challenge.challenge() + "!"));
          }
        },
        [payload](rpc::Call& call) { call.Send(Payload(payload)); });
    server_.Start();
    connection_.Connect(server_.Connect());
  }
  std::unique_ptr<NodeAttestation> Begin() {
    auto attestation = attestor_.Begin();
    EXPECT_OK(attestation.status());
    return *std::move(attestation);
  }

  FakePluginServer server_;
  PluginConnection connection_{{PluginType::kNodeAttestor, "custom"}, [] {}};
  NodeAttestorPlugin attestor_{connection_};
};

TEST_F(NodeAttestorPluginTest, CarriesPayloadAndAnswers) {
  Serve("payload");
  EXPECT_EQ(attestor_.type(), "custom");
  const auto attestation = Begin();
  const auto payload = attestation->Payload();
  ASSERT_OK(payload.status());
  EXPECT_EQ(payload->Reveal(), "payload");
  EXPECT_EQ(*attestation->Answer("one"), "one!");
  EXPECT_EQ(*attestation->Answer("two"), "two!");
}

TEST_F(NodeAttestorPluginTest, ThePluginsErrorIsTold) {
  Serve("payload");
  const auto attestation = Begin();
  ASSERT_OK(attestation->Payload().status());
  const auto denied = StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("nodeattestor(custom): not this one"));
  EXPECT_THAT(attestation->Answer("fail").status(), denied);
  EXPECT_THAT(attestation->Answer("again").status(), denied);
}

TEST_F(NodeAttestorPluginTest, AnEarlyEndAndEmptyAnswersAreErrors) {
  Serve("payload");
  const auto attestation = Begin();
  ASSERT_OK(attestation->Payload().status());
  EXPECT_THAT(attestation->Answer("empty").status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("missing challenge response")));
  EXPECT_THAT(attestation->Answer("end").status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("closed stream")));
}

TEST_F(NodeAttestorPluginTest, AnEmptyPayloadIsAnError) {
  Serve("");
  EXPECT_THAT(Begin()->Payload().status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("missing attestation payload")));
}

TEST_F(NodeAttestorPluginTest, OneThatSaysNothingFailsInTime) {
  server_.Hang(kAid);
  server_.Start();
  connection_.Connect(server_.Connect());
  NodeAttestorPlugin hasty(connection_, absl::Milliseconds(100));
  const auto attestation = hasty.Begin();
  ASSERT_OK(attestation.status());
  EXPECT_THAT((*attestation)->Payload().status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("nodeattestor(custom)")));
}

TEST_F(NodeAttestorPluginTest, OneThatDoesNotRunFailsInTime) {
  NodeAttestorPlugin hasty(connection_, absl::Milliseconds(10));
  EXPECT_THAT(hasty.Begin().status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("plugin is not running")));
}

}  // namespace
}  // namespace assay
