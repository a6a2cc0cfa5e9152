// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/join_token.h"

namespace assay {
namespace {

class JoinTokenAttestation final : public NodeAttestation {
 public:
  explicit JoinTokenAttestation(Secret token) : token_(std::move(token)) {}

  absl::StatusOr<Secret> Payload() override { return token_.Clone(); }
  absl::StatusOr<std::string> Answer(std::string_view) override {
    return InvalidArgument("the upstream sent a challenge, which join_token attestation has not");
  }

 private:
  const Secret token_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> JoinTokenAttestor::Begin() {
  if (token_.empty()) {
    return FailedPrecondition(
        "no join token: have the upstream make one, and set join_token or join_token_file");
  }
  return std::make_unique<JoinTokenAttestation>(token_.Clone());
}

}  // namespace assay
