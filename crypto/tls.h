// SPDX-License-Identifier: GPL-3.0-or-later
// TLS 1.3 on wolfSSL, as a state machine without I/O: bytes from the socket go in, bytes for the
// socket come out, and plain bytes between. wolfSSL's own path verification is never used: the
// peer's chain goes to a verifier of the caller's, and the connection carries what it returned.
// ALPN is "h2" and mandatory, but for a server of HTTP/1.1. X25519 is offered before P-256,
// ChaCha20-Poly1305 before AES-GCM; sessions are never resumed. Not thread-safe; use on long-lived
// threads only (wolfSSL keeps per-thread tables).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace assay::crypto {

// Judges the peer's chain, leaf first, of at most nine certificates. An error ends the handshake
// with a fatal alert.
using ChainVerifier = std::function<absl::Status(const std::vector<Certificate>& chain)>;

// Whether wolfSSL was built with the hybrids of ML-KEM that TLS has names for (X25519MLKEM768,
// SecP256r1MLKEM768, SecP384r1MLKEM1024). They are offered first where it was.
bool HasPostQuantum();
// FailedPrecondition, with what to do, where it was not.
absl::Status CheckPostQuantum();

struct TlsIdentity {
  std::vector<Certificate> chain;        // Leaf first.
  std::shared_ptr<const Signer> signer;  // Of the leaf's key; may be a TPM's.
};

class TlsConnection final {
 public:
  struct ClientOptions {
    const TlsIdentity* identity = nullptr;  // Null: no client certificate. Copied.
    ChainVerifier verify_server;
    bool require_post_quantum = false;  // No other key exchange is offered.
  };
  struct ServerOptions {
    TlsIdentity identity;
    // What is spoken in it: ALPN is "h2"; or "http/1.1", or no ALPN at all.
    enum class Protocol { kHttp2, kHttp1 } protocol = Protocol::kHttp2;
    // Called only when the client presents a certificate, which is always asked for and never
    // required.
    ChainVerifier verify_client;
  };

  static absl::StatusOr<std::unique_ptr<TlsConnection>> CreateClient(const ClientOptions& options);
  static absl::StatusOr<std::unique_ptr<TlsConnection>> CreateServer(const ServerOptions& options);
  ~TlsConnection();

  // Bytes that arrived from the socket. Progresses the handshake; a failed one is the error, with
  // the verifier's words when it was the verifier that refused. Call TakeOutput() even then: the
  // alert must be sent.
  absl::Status Feed(std::string_view bytes);
  // Starts the client's handshake (a server's starts with its first Feed()).
  absl::Status Start();
  bool handshake_done() const;
  // The peer closed its side in order (close_notify).
  bool peer_closed() const;
  // Decrypted bytes so far, taken away.
  std::string TakePlaintext();
  // Encrypts; only after the handshake.
  absl::Status Write(std::string_view plaintext);
  // Queues close_notify.
  void Close();
  // Bytes for the socket so far, taken away.
  std::string TakeOutput();
  // The peer's chain as verified, leaf first; empty for a client without a certificate.
  const std::vector<Certificate>& peer_chain() const;

 private:
  struct Impl;
  explicit TlsConnection(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace assay::crypto
