// SPDX-License-Identifier: GPL-3.0-or-later
// An attestation whose payload is all there is: the upstream has nothing to ask back.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"

namespace assay {

class ShownAttestation final : public NodeAttestation {
 public:
  // The type is for messages; it must outlive the attestation.
  ShownAttestation(std::string_view type, Secret payload)
      : type_(type), payload_(std::move(payload)) {}

  absl::StatusOr<Secret> Payload() override { return payload_.Clone(); }
  absl::StatusOr<std::string> Answer(std::string_view) override {
    return InvalidArgument("the upstream sent a challenge, which {} attestation has not", type_);
  }

 private:
  const std::string_view type_;
  const Secret payload_;
};

}  // namespace assay
