// SPDX-License-Identifier: GPL-3.0-or-later
// A client's TLS handshake on a socket, made on the calling thread: a TPM that signs in it takes
// its time, and so must not hold up a thread that passes other connections' bytes.
#pragma once

#include <absl/time/time.h>

#include <memory>

#include "base/status.h"
#include "base/unique_fd.h"
#include "crypto/tls.h"

namespace assay {

struct HandshakeOptions {
  std::shared_ptr<const crypto::TlsIdentity> identity;  // Null: anonymous.
  crypto::ChainVerifier verify_server;
  bool require_post_quantum = false;
  // For all that the upstream is waited for; the signer takes as long as it takes.
  absl::Duration timeout = absl::Seconds(10);
};

// Blocks until the handshake on this connected non-blocking socket is done, or why it failed. What
// the upstream sent after it may wait in the connection already.
absl::StatusOr<std::unique_ptr<crypto::TlsConnection>> MakeHandshake(
    const UniqueFd& network, const HandshakeOptions& options);

}  // namespace assay
