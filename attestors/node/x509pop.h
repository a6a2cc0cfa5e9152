// SPDX-License-Identifier: GPL-3.0-or-later
// x509pop node attestation: the node shows an X.509 certificate of its own, from whatever PKI there
// is, and signs the upstream's nonce with its key. The messages are those of spire-agent's attestor
// of this name: RSASSA-PSS for RSA keys, ECDSA with r and s apart for EC ones, both over SHA-256.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attestors/node/node_attestor.h"
#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace assay {

struct X509PopOptions {
  std::string private_key_path;    // PEM.
  std::string certificate_path;    // PEM: the certificate, then intermediates.
  std::string intermediates_path;  // PEM: more of these; empty: none.
  // The socket of a Workload API that gives certificate and key in place of the files; empty: the
  // files.
  std::string spiffe_endpoint_socket;
};

struct X509PopIdentity {
  std::vector<crypto::Certificate> chain;  // Leaf first.
  std::shared_ptr<const crypto::Signer> key;
};

// What the files hold. Whether they belong together the attestor checks.
absl::StatusOr<X509PopIdentity> LoadX509PopFiles(const X509PopOptions& options);

class X509PopAttestor final : public NodeAttestor {
 public:
  using Load = std::function<absl::StatusOr<X509PopIdentity>()>;

  // Load is called at the beginning of each attestation, for certificates are renewed.
  explicit X509PopAttestor(Load load) : load_(std::move(load)) {}

  std::string_view type() const override { return "x509pop"; }
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const Load load_;
};

}  // namespace assay
