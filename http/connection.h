// SPDX-License-Identifier: GPL-3.0-or-later
// One caller of an HTTP server: its requests are parsed and answered one after the other. Belongs
// to its server.
#pragma once

#include <absl/time/time.h>
#include <http_parser.h>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "crypto/tls.h"
#include "http/server.h"
#include "rpc/output.h"
#include "rpc/shares.h"

namespace assay::http {

class Connection final {
 public:
  // Counted in the share, which it leaves. tls may be null.
  Connection(Server& server, rpc::Shares::Share& share, UniqueFd socket,
             std::unique_ptr<crypto::TlsConnection> tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Watches the socket; an error leaves nothing to do but to drop it.
  absl::Status Start();

  const rpc::Shares::Share& share() const { return share_; }
  // Since when, since boot, the caller keeps the server waiting, for a request or to take its
  // answer; nothing: it is served.
  std::optional<absl::Duration> waits_since() const { return waits_since_; }

  std::list<std::unique_ptr<Connection>>::iterator place;  // Where the server keeps it.

 private:
  enum class State {
    kReading,    // A request, or its begin.
    kServing,    // It is whole, and the answer is to come.
    kAnswering,  // What is to be written is not taken yet.
    kLingering,  // All is written; what the caller still sends is dropped, until it ends.
    kDead,
  };

  static const http_parser_settings& ParserSettings();
  static Connection& Of(http_parser* parser) { return *static_cast<Connection*>(parser->data); }

  void OnEvent(uint32_t events);
  bool WantsToRead() const;
  void Read();
  void TakeBytes(std::string_view bytes);
  void OnHandshake();
  void Parse();
  void OnRequest();
  void Refuse(int code);
  void Respond(Answer answer);
  void Put(const Answer& answer, bool whole);
  void Flush();
  void OnWritten();
  void Wait(absl::Duration timeout);
  void WatchFor(uint32_t events);
  void Settle();

  Server& server_;
  rpc::Shares::Share& share_;
  const UniqueFd socket_;
  const std::unique_ptr<crypto::TlsConnection> tls_;
  // Says to what outlives the connection that it is gone.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  const absl::Duration began_;                       // Since boot.
  absl::Time valid_until_ = absl::InfiniteFuture();  // What the caller showed.
  State state_ = State::kReading;
  http_parser parser_{};
  std::string input_;         // Not parsed yet.
  size_t request_bytes_ = 0;  // Of the request so far.
  std::string target_;
  bool close_ = false;  // After this answer.
  bool head_ = false;   // The request wants no body.
  rpc::Backlog output_;
  uint32_t watched_ = 0;
  std::optional<absl::Duration> waits_since_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay::http
