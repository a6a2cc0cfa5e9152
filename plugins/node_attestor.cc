// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/node_attestor.h"

#include <algorithm>
#include <string>
#include <utility>

#include "plugins/channel_client.h"
#include "spire/plugin/agent/nodeattestor/v1/nodeattestor.grpc.pb.h"

namespace assay {
namespace {

namespace nodeattestor = spire::plugin::agent::nodeattestor::v1;

class PluginAttestation final : public NodeAttestation {
 public:
  PluginAttestation(PluginConnection& connection, std::shared_ptr<grpc::Channel> channel,
                    absl::Duration timeout)
      : connection_(connection),
        channel_(std::move(channel)),
        stub_(nodeattestor::NodeAttestor::NewStub(channel_)) {
    SetDeadline(context_, timeout);
    stream_ = stub_->AidAttestation(&context_);
  }
  ~PluginAttestation() override {
    if (!ended_) {
      context_.TryCancel();
      static_cast<void>(stream_->Finish());
    }
  }

  absl::StatusOr<Secret> Payload() override {
    ASSIGN_OR_RETURN(nodeattestor::PayloadOrChallengeResponse message, Read());
    if (message.payload().empty()) {
      return Internal("{}: plugin response missing attestation payload", connection_.name());
    }
    return Secret::TakeFrom(*message.mutable_payload());
  }

  absl::StatusOr<std::string> Answer(std::string_view challenge) override {
    nodeattestor::Challenge request;
    request.set_challenge(std::string(challenge));
    if (ended_ || !stream_->Write(request)) {
      return Ended();
    }
    ASSIGN_OR_RETURN(nodeattestor::PayloadOrChallengeResponse message, Read());
    if (message.challenge_response().empty()) {
      return Internal("{}: plugin response missing challenge response", connection_.name());
    }
    return std::move(*message.mutable_challenge_response());
  }

 private:
  absl::StatusOr<nodeattestor::PayloadOrChallengeResponse> Read() {
    nodeattestor::PayloadOrChallengeResponse message;
    if (ended_ || !stream_->Read(&message)) {
      return Ended();
    }
    return message;
  }

  // Why the plugin said no more.
  absl::Status Ended() {
    if (!std::exchange(ended_, true)) {
      why_ = connection_.Ended(channel_, stream_->Finish());
    }
    return why_.ok() ? Internal("{}: plugin closed stream before the attestation was done",
                                connection_.name())
                     : why_;
  }

  PluginConnection& connection_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<nodeattestor::NodeAttestor::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriter<nodeattestor::Challenge, nodeattestor::PayloadOrChallengeResponse>>
      stream_;
  bool ended_ = false;
  absl::Status why_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> NodeAttestorPlugin::Begin() {
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                   connection_.Await(std::min(timeout_, kStartTimeout)));
  return std::make_unique<PluginAttestation>(connection_, std::move(channel), timeout_);
}

}  // namespace assay
