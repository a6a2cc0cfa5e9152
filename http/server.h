// SPDX-License-Identifier: GPL-3.0-or-later
// A small HTTP/1.1 server (RFC 9112) for what is only ever read: GET and HEAD, on TCP with or
// without TLS, on one event loop, with limits on everything a hostile caller could pile up. The
// requests are parsed by http-parser. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "crypto/tls.h"
#include "rpc/acceptor.h"
#include "rpc/shares.h"

namespace assay::http {

struct Request {
  std::string path;  // As it was written, without the query: "/live".
};

struct Answer {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Whoever comes when there are too many connections has the place of the one whose caller has kept
// the server waiting longest: of the address that has most, or of its own when that has too many.
struct Limits {
  size_t max_connections = 128;
  size_t max_connections_per_address = 32;             // 127.0.0.0/8 is one.
  size_t max_request_bytes = 8 << 10;                  // Target and headers; 431 beyond.
  absl::Duration request_timeout = absl::Seconds(10);  // Its first byte, or the connection, to its
                                                       // end; a TLS handshake counts.
  absl::Duration idle_timeout = absl::Minutes(2);     // An answer to the next request's first byte.
  absl::Duration answer_timeout = absl::Seconds(30);  // Until the caller has taken it all.
  // An answer after so long ends its connection: who may ask is judged anew at the next one.
  absl::Duration max_connection_age = absl::Minutes(5);
};

class Connection;

class Server final {
 public:
  // Answers once, now or later, from the loop's thread; harmless when the caller has gone.
  using Respond = std::function<void(Answer answer)>;
  struct Options {
    Limits limits = {};
    std::function<void(const Request& request, Respond respond)> serve = {};
    // Asked at each new connection, so that rotated certificates are used. Unset: no TLS.
    std::function<absl::StatusOr<crypto::TlsConnection::ServerOptions>()> tls = {};
    // Callers without a certificate get no answer; nor those whose certificate has expired since.
    bool needs_client_certificate = false;
    bool keep_alive = true;  // Else each answer ends its connection.
  };

  // Both must outlive the server.
  Server(EventLoop& loop, const Clock& clock, Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts on a bound, listening TCP socket until the server dies.
  absl::Status Listen(UniqueFd listener);
  size_t connections() const { return connections_.size(); }

 private:
  friend class Connection;

  void Accept(UniqueFd socket);
  // One more connection of the address: when there is no place, in that of another.
  absl::StatusOr<rpc::Shares::Share*> Join(const std::string& name);
  // Of the address, who may make way; null when there is none.
  Connection* LongestWaiting(const std::string& name) const;
  // The address that has most connections.
  std::string Greediest() const;
  // Null where there is no TLS.
  absl::StatusOr<std::unique_ptr<crypto::TlsConnection>> MakeTls() const;
  void Drop(Connection& connection);

  EventLoop& loop_;
  const Clock& clock_;
  const Options options_;
  rpc::Shares shares_;  // Before the connections, which leave it.
  std::list<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<rpc::Acceptor> acceptor_;
};

}  // namespace assay::http
