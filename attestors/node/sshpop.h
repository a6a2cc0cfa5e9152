// SPDX-License-Identifier: GPL-3.0-or-later
// sshpop node attestation: the node shows its SSH host certificate and signs the upstream's nonce
// with its host key. The messages are those of spire-agent's attestor of this name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"
#include "base/secret.h"
#include "base/status.h"

namespace assay {

struct SshPopOptions {
  std::string host_key_path = "/etc/ssh/ssh_host_rsa_key";  // Of ssh-keygen, or PEM.
  std::string host_cert_path = "/etc/ssh/ssh_host_rsa_key-cert.pub";
};

class SshPopAttestor final : public NodeAttestor {
 public:
  // The host key's text, where it was read already; empty: it is read at its path.
  explicit SshPopAttestor(SshPopOptions options, Secret host_key = Secret())
      : options_(std::move(options)), host_key_(std::move(host_key)) {}

  std::string_view type() const override { return "sshpop"; }
  // FailedPrecondition when the certificate is not for the key.
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const SshPopOptions options_;
  const Secret host_key_;
};

}  // namespace assay
