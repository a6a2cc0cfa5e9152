// SPDX-License-Identifier: GPL-3.0-or-later
// A node attestor proves the node to the upstream: it gives the payload, and answers challenges.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace assay {

// One attestation, from its payload to its last answer. May block; not thread-safe.
class NodeAttestation {
 public:
  virtual ~NodeAttestation() = default;
  // The payload of AttestAgent's first message; a Secret, for a join token is one.
  virtual absl::StatusOr<Secret> Payload() = 0;
  // The answer to one challenge. A challenge that the method does not have is InvalidArgument.
  virtual absl::StatusOr<std::string> Answer(std::string_view challenge) = 0;
};

class NodeAttestor {
 public:
  virtual ~NodeAttestor() = default;
  // The name upstream: "tpm_devid", "join_token".
  virtual std::string_view type() const = 0;
  virtual absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() = 0;
};

}  // namespace assay
