// SPDX-License-Identifier: GPL-3.0-or-later
// A gRPC server over HTTP/2 (nghttp2) on a Unix socket or on TLS over TCP, on one event loop:
// unary, server-streaming, client-streaming and bidirectional calls, with limits on everything a
// hostile caller could pile up. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "crypto/tls.h"
#include "rpc/call.h"

namespace assay::rpc {

struct Limits {
  // Fewer when the process may not have so many descriptors. Once half are open (and 10,000, where
  // there are so many), one user or address gets only a part of what is left; the last are root's.
  size_t max_connections = 20000;
  size_t max_connections_per_uid = 12000;    // On Unix sockets; root is exempt.
  size_t max_connections_per_address = 512;  // On TCP; also of each certificate's SPIFFE ID.
  uint32_t max_streams_per_connection = 100;
  size_t max_header_bytes = 16 << 10;
  size_t max_message_bytes = 4 << 20;  // RESOURCE_EXHAUSTED, in grpc-go's words.
  size_t max_pending_bytes = 8 << 20;  // Unread answers of one connection; then it is closed.
  absl::Duration handshake_timeout = absl::Seconds(10);  // Connect to the first call's headers.
  absl::Duration message_timeout = absl::Seconds(30);    // A call's headers to its first message,
                                                         // and each message's begin to its end.
  absl::Duration idle_timeout = absl::Minutes(1);        // Without any call open.
  absl::Duration refused_timeout = absl::Seconds(5);     // The same when the last was refused.
  // Then GOAWAY: calls may end. Each connection's is up to a tenth shorter or longer.
  absl::Duration max_connection_age = absl::InfiniteDuration();
  absl::Duration shutdown_grace = absl::Minutes(2);  // After GOAWAY; then calls are cut off.
};

// Told of what a server's calls come to, for statistics.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // What elapsed times are measured by.
  virtual absl::Duration Now() const = 0;
  // A call of the registry's began; it ends once.
  virtual void OnCallBegin(std::string_view method) = 0;
  // It sent its first message, so long after its headers came.
  virtual void OnFirstMessage(std::string_view method, absl::Duration elapsed) = 0;
  // It ended: kOk too when the caller ended a stream that it had an answer from, kCancelled when it
  // had none.
  virtual void OnCallEnd(std::string_view method, absl::StatusCode code,
                         absl::Duration elapsed) = 0;
  // There were too many connections for one more.
  virtual void OnConnectionRefused() = 0;
};

class Server final {
 public:
  struct Options {
    Limits limits = {};
    // For TLS: asked at each new connection, so that rotated certificates are used. Unset: plain
    // HTTP/2 with prior knowledge.
    std::function<absl::StatusOr<crypto::TlsConnection::ServerOptions>()> tls = {};
    // Runs before every handler; a failed status answers the call. May be unset.
    Registry::Interceptor interceptor = {};
    // Told of each accepted connection on a Unix socket before anything is read from it, and may
    // refuse it. May be unset.
    std::function<absl::Status(Peer& peer)> on_connect = {};
    // Must outlive the server; may be null.
    CallObserver* observer = nullptr;
    // Serves every request instead of the registry, whether it is gRPC's or not, without its
    // messages: for h2spec, which speaks plain HTTP. Unset everywhere else.
    MakeHandler any_request = {};
  };

  // Both must outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Create(EventLoop& loop, const Registry& registry,
                                                        Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts on a bound, listening socket (AF_UNIX or TCP) until the server dies. More than one may
  // be listened on.
  absl::Status Listen(UniqueFd listener);
  size_t connections() const;
  // Sends GOAWAY to all and lets calls finish; new connections are refused.
  void Drain();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace assay::rpc
