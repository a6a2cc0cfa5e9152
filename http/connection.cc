// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace assay::http {
namespace {

constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kTlsRecordBytes = 16 << 10;
constexpr absl::Duration kLinger = absl::Seconds(2);

std::string_view ReasonOf(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

Connection::Connection(Server& server, rpc::Shares::Share& share, UniqueFd socket,
                       std::unique_ptr<crypto::TlsConnection> tls)
    : server_(server),
      share_(share),
      socket_(std::move(socket)),
      tls_(std::move(tls)),
      began_(server.clock_.SinceBoot()) {
  http_parser_init(&parser_, HTTP_REQUEST);
  parser_.data = this;
}

Connection::~Connection() {
  *alive_ = false;
  server_.loop_.Cancel(timer_);
  if (watched_ != 0) {
    server_.loop_.Unwatch(socket_.get());
  }
  server_.shares_.Leave(share_);
}

absl::Status Connection::Start() {
  RETURN_IF_ERROR(server_.loop_.Watch(socket_.get(), EPOLLIN | EPOLLRDHUP,
                                      [this](uint32_t events) { OnEvent(events); }));
  watched_ = EPOLLIN | EPOLLRDHUP;
  Wait(server_.options_.limits.request_timeout);
  return absl::OkStatus();
}

const http_parser_settings& Connection::ParserSettings() {
  static const http_parser_settings kSettings = [] {
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_url = [](http_parser* parser, const char* data, size_t size) {
      Of(parser).target_.append(data, size);
      return 0;
    };
    // A body is not read: the connection ends after the answer.
    settings.on_headers_complete = [](http_parser* parser) {
      Connection& self = Of(parser);
      const bool has_length = parser->content_length != 0 && parser->content_length != ULLONG_MAX;
      const bool is_chunked = (parser->flags & F_CHUNKED) != 0;
      self.close_ =
          has_length || is_chunked || parser->upgrade != 0 || http_should_keep_alive(parser) == 0;
      return 1;
    };
    settings.on_message_complete = [](http_parser* parser) {
      Of(parser).state_ = State::kServing;
      http_parser_pause(parser, 1);
      return 0;
    };
    return settings;
  }();
  return kSettings;
}

void Connection::OnEvent(uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    state_ = State::kDead;
  }
  if ((events & EPOLLOUT) != 0 && state_ != State::kDead) {
    Flush();
  }
  if ((events & (EPOLLIN | EPOLLRDHUP)) != 0 && WantsToRead()) {
    Read();
  }
  Settle();
}

// Nothing is read while there is something to parse, to serve or to write: what a caller can pile
// up here is what one read gives.
bool Connection::WantsToRead() const {
  return state_ == State::kLingering ||
         (state_ == State::kReading && input_.empty() && output_.empty());
}

void Connection::Read() {
  std::array<char, kReadBytes> buffer;
  const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    return;
  }
  // Who closes its side, though but half, gets no answer any more.
  if (size <= 0) {
    state_ = State::kDead;
  } else if (state_ != State::kLingering) {
    TakeBytes({buffer.data(), static_cast<size_t>(size)});
  }
}

void Connection::TakeBytes(std::string_view bytes) {
  if (tls_ == nullptr) {
    input_.append(bytes);
  } else {
    const bool was_done = tls_->handshake_done();
    const absl::Status fed = tls_->Feed(bytes);
    output_.Add(nullptr, tls_->TakeOutput());
    if (!fed.ok() || tls_->peer_closed()) {
      output_.WriteTo(socket_.get()).IgnoreError();
      state_ = State::kDead;
      return;
    }
    if (tls_->handshake_done() && !was_done) {
      OnHandshake();
    }
    input_.append(tls_->TakePlaintext());
  }
  if (state_ == State::kReading) {
    Parse();
  }
  if (state_ == State::kReading || state_ == State::kServing) {
    Flush();
  }
}

void Connection::OnHandshake() {
  if (!tls_->peer_chain().empty()) {
    valid_until_ = tls_->peer_chain().front().not_after();
  } else if (server_.options_.needs_client_certificate) {
    state_ = State::kDead;
  }
}

// One request at most: the others of the loop have their turn between two of them.
void Connection::Parse() {
  if (input_.empty()) {
    return;
  }
  if (request_bytes_ == 0) {
    Wait(server_.options_.limits.request_timeout);
  }
  const size_t limit = server_.options_.limits.max_request_bytes;
  const std::string_view part =
      std::string_view(input_).substr(0, std::min(input_.size(), limit + 1 - request_bytes_));
  const size_t parsed = http_parser_execute(&parser_, &ParserSettings(), part.data(), part.size());
  request_bytes_ += parsed;
  const http_errno error = HTTP_PARSER_ERRNO(&parser_);
  input_.erase(0, parsed);
  if (state_ == State::kServing) {
    OnRequest();
  } else if (request_bytes_ > limit) {
    Refuse(431);
  } else if (error != HPE_OK || parser_.upgrade != 0) {
    Refuse(400);
  }
}

void Connection::OnRequest() {
  if (server_.clock_.Now() > valid_until_) {
    state_ = State::kDead;
    return;
  }
  const auto method = static_cast<http_method>(parser_.method);
  head_ = method == HTTP_HEAD;
  if (method != HTTP_GET && method != HTTP_HEAD) {
    Refuse(405);
    return;
  }
  server_.loop_.Cancel(std::exchange(timer_, 0));
  waits_since_.reset();
  const Request request{.path = target_.substr(0, target_.find_first_of("?#"))};
  server_.options_.serve(request, [this, alive = alive_](Answer answer) {
    // In a round of its own: whoever serves is done with the request then.
    if (*alive) {
      server_.loop_.Post([this, alive, answer = std::move(answer)]() mutable {
        if (*alive) {
          Respond(std::move(answer));
          Settle();
        }
      });
    }
  });
}

void Connection::Refuse(int code) {
  close_ = true;
  Put({.code = code, .body = std::string(ReasonOf(code)) + "\n"}, /*whole=*/true);
}

void Connection::Respond(Answer answer) {
  if (state_ == State::kServing) {
    Put(answer, /*whole=*/!head_);
  }
}

void Connection::Put(const Answer& answer, bool whole) {
  const absl::Duration age = server_.clock_.SinceBoot() - began_;
  close_ =
      close_ || !server_.options_.keep_alive || age >= server_.options_.limits.max_connection_age;
  std::string bytes = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nDate: {}\r\n{}{}\r\n",
      answer.code, ReasonOf(answer.code), answer.content_type, answer.body.size(),
      absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", server_.clock_.Now(), absl::UTCTimeZone()),
      answer.code == 405 ? "Allow: GET, HEAD\r\n" : "", close_ ? "Connection: close\r\n" : "");
  if (whole) {
    bytes += answer.body;
  }
  if (tls_ == nullptr) {
    output_.Add(nullptr, bytes);
  }
  for (size_t at = 0; tls_ != nullptr && at < bytes.size(); at += kTlsRecordBytes) {
    if (!tls_->Write(std::string_view(bytes).substr(at, kTlsRecordBytes)).ok()) {
      state_ = State::kDead;
      return;
    }
    output_.Add(nullptr, tls_->TakeOutput());
  }
  if (tls_ != nullptr && close_) {
    tls_->Close();
    output_.Add(nullptr, tls_->TakeOutput());
  }
  state_ = State::kAnswering;
  Wait(server_.options_.limits.answer_timeout);
  Flush();
}

void Connection::Flush() {
  if (!output_.WriteTo(socket_.get()).ok()) {
    state_ = State::kDead;
  } else if (state_ == State::kAnswering && output_.empty()) {
    OnWritten();
  }
}

void Connection::OnWritten() {
  if (close_) {
    // Closed at once, with bytes of the caller's unread, the answer might not reach it.
    state_ = State::kLingering;
    shutdown(socket_.get(), SHUT_WR);
    Wait(kLinger);
    return;
  }
  state_ = State::kReading;
  request_bytes_ = 0;
  target_.clear();
  http_parser_init(&parser_, HTTP_REQUEST);
  Wait(server_.options_.limits.idle_timeout);
  if (!input_.empty()) {
    server_.loop_.Post([this, alive = alive_] {
      if (*alive && state_ == State::kReading) {
        Parse();
        Settle();
      }
    });
  }
}

void Connection::Wait(absl::Duration timeout) {
  server_.loop_.Cancel(timer_);
  waits_since_ = server_.clock_.SinceBoot();
  timer_ = server_.loop_.After(timeout, [this] {
    timer_ = 0;
    state_ = State::kDead;
    Settle();
  });
}

void Connection::WatchFor(uint32_t events) {
  if (events != watched_ && server_.loop_.Modify(socket_.get(), events).ok()) {
    watched_ = events;
  }
}

// The last thing any event does: a dead connection is gone after it.
void Connection::Settle() {
  if (state_ == State::kDead) {
    server_.Drop(*this);
    return;
  }
  WatchFor((WantsToRead() ? EPOLLIN | EPOLLRDHUP : 0U) | (output_.empty() ? 0U : EPOLLOUT));
}

}  // namespace assay::http
