// SPDX-License-Identifier: GPL-3.0-or-later
// http_challenge node attestation: the node gives a nonce of the upstream's to whoever asks its
// host name over HTTP, which proves that it has the name, as ACME's http-01 does (RFC 8555 §8.3).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"
#include "base/status.h"

namespace assay {

struct HttpChallengeOptions {
  std::string hostname = {};  // Empty: the machine's.
  std::string agentname = "default";
  uint16_t port = 0;             // To listen on; 0: any free one.
  uint16_t advertised_port = 0;  // As the upstream reaches it; 0: the one listened on.
};

class HttpChallengeAttestor final : public NodeAttestor {
 public:
  explicit HttpChallengeAttestor(HttpChallengeOptions options) : options_(std::move(options)) {}

  std::string_view type() const override { return "http_challenge"; }
  // Listens; the nonce is served as long as the attestation lives.
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const HttpChallengeOptions options_;
};

}  // namespace assay
