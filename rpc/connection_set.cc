// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/connection_set.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/log.h"

namespace assay::rpc {
namespace {

constexpr size_t kFlushesPerRound = 256;
// Of requests, beyond what each connection has for itself.
constexpr size_t kMaxRequestBytes = 64 << 20;
constexpr size_t kMaxRequestBytesOfOne = kMaxRequestBytes / 8;
constexpr size_t kMaxRequestBytesOfAddress = 1 << 20;
// Of answers, in terms of what one connection may leave unread.
constexpr size_t kMaxPendingOfOne = 2, kMaxPending = 16;
// More than FloodGuard lets pass.
constexpr size_t kMaxControlAnswers = 4000;
constexpr size_t kTrimAfter = 1000;
constexpr absl::Duration kQuiet = absl::Seconds(5);
constexpr absl::Duration kWarnEvery = absl::Minutes(1);

std::string AddressOf(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return "unknown";
  }
  if (address.ss_family == AF_INET) {
    const auto* ip4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &ip4->sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(ip4->sin_port));
  }
  const auto* ip6 = reinterpret_cast<const sockaddr_in6*>(&address);
  inet_ntop(AF_INET6, &ip6->sin6_addr, text.data(), text.size());
  return fmt::format("[{}]:{}", text.data(), ntohs(ip6->sin6_port));
}

Shares::Owner UserOf(const ProcessPeer& process, const Limits& limits) {
  return {.name = fmt::format("user {}", process.uid),
          .max_connections = limits.max_connections_per_uid,
          .max_request_bytes = kMaxRequestBytesOfOne,
          .privileged = process.uid == 0};
}

// Who has shown no certificate.
Shares::Owner AddressOwner(int socket, const Limits& limits) {
  return {.name = "address " + NetworkOf(socket),
          .max_connections = limits.max_connections_per_address,
          .max_request_bytes = kMaxRequestBytesOfAddress};
}

// A caller whose machine vanished must not hold a connection for ever.
void SetTcpOptions(int socket) {
  const int on = 1, idle = 60, interval = 20, count = 3;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

Connection& Self(void* user_data) { return *static_cast<Connection*>(user_data); }

ServerCall* CallOf(nghttp2_session* session, int32_t stream_id) {
  return static_cast<ServerCall*>(nghttp2_session_get_stream_user_data(session, stream_id));
}

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
                                         Self(user_data).NewCall(frame->hd.stream_id));
  }
  return 0;
}

int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
             size_t name_size, const uint8_t* value, size_t value_size, uint8_t /*flags*/,
             void* /*user_data*/) {
  if (ServerCall* call = CallOf(session, frame->hd.stream_id); call != nullptr) {
    call->AddHeader(View(name, name_size), View(value, value_size));
  }
  return 0;
}

int OnData(nghttp2_session* session, uint8_t /*flags*/, int32_t stream_id, const uint8_t* bytes,
           size_t size, void* /*user_data*/) {
  if (ServerCall* call = CallOf(session, stream_id); call != nullptr) {
    call->OnData(View(bytes, size));
  }
  return 0;
}

int OnFrame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user_data) {
  Self(user_data).OnFrame(*frame);
  return 0;
}

int OnFrameSent(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user_data) {
  Self(user_data).OnFrameSent(*frame);
  return 0;
}

int OnStreamClose(nghttp2_session* session, int32_t stream_id, uint32_t /*error*/,
                  void* user_data) {
  ServerCall* call = CallOf(session, stream_id);
  nghttp2_session_set_stream_user_data(session, stream_id, nullptr);
  Self(user_data).OnStreamClosed(stream_id, call);
  return 0;
}

int OnSendData(nghttp2_session* /*session*/, nghttp2_frame* /*frame*/, const uint8_t* header,
               size_t size, nghttp2_data_source* source, void* user_data) {
  return Self(user_data).SendData(*static_cast<ServerCall*>(source->ptr), header, size);
}

}  // namespace

ConnectionSet::ConnectionSet(EventLoop& loop, const Registry& registry,
                             const Server::Options& options)
    : loop_(loop),
      registry_(registry),
      options_(options),
      read_buffer_(std::make_unique_for_overwrite<std::array<char, 64 << 10>>()),
      shares_({.connections = options.limits.max_connections,
               .request_bytes = kMaxRequestBytes,
               .answer_bytes = kMaxPending * options.limits.max_pending_bytes,
               .answer_bytes_of_one = kMaxPendingOfOne * options.limits.max_pending_bytes}) {
  nghttp2_session_callbacks_new(&callbacks_);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks_, OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks_, OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks_, OnData);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks_, OnFrame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks_, OnFrameSent);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks_, OnStreamClose);
  nghttp2_session_callbacks_set_send_data_callback(callbacks_, OnSendData);
  nghttp2_option_new(&session_options_);
  // RequestCheck looks at requests instead.
  nghttp2_option_set_no_http_messaging(session_options_, 1);
  nghttp2_option_set_max_outbound_ack(session_options_, kMaxControlAnswers);
  nghttp2_option_set_max_deflate_dynamic_table_size(session_options_, 0);
  // The flood guard counts resets, and does not count those of answered streams.
  nghttp2_option_set_stream_reset_rate_limit(session_options_, UINT32_MAX, UINT32_MAX);
}

ConnectionSet::~ConnectionSet() {
  connections_.clear();
  loop_.Cancel(flush_timer_);
  loop_.Cancel(second_timer_);
  loop_.Cancel(trim_timer_);
  loop_.Cancel(warn_timer_);
  nghttp2_option_del(session_options_);
  nghttp2_session_callbacks_del(callbacks_);
}

nghttp2_session* ConnectionSet::NewSession(Connection& connection) {
  nghttp2_session* session = nullptr;
  const SessionMemory::Creation creation(memory_);
  nghttp2_session_server_new3(&session, callbacks_, &connection, session_options_, memory_.hooks());
  return session;
}

absl::Status ConnectionSet::Add(UniqueFd socket, bool is_unix) {
  Peer peer;
  peer.connection_id = next_connection_id_++;
  if (is_unix) {
    ASSIGN_OR_RETURN(peer.process, ProcessPeer::Of(socket.get()));
  } else {
    SetTcpOptions(socket.get());
    peer.address = AddressOf(socket.get());
  }
  ASSIGN_OR_RETURN(
      Shares::Share* const share,
      Join(is_unix ? UserOf(peer.process, limits()) : AddressOwner(socket.get(), limits())));
  const absl::Status added = AddTo(*share, std::move(socket), std::move(peer));
  if (!added.ok()) {
    shares_.Leave(*share);
  }
  return added;
}

absl::Status ConnectionSet::AddTo(Shares::Share& share, UniqueFd socket, Peer peer) {
  const bool is_unix = peer.process.pid != 0;
  if (is_unix && options_.on_connect) {
    RETURN_IF_ERROR(options_.on_connect(peer));
  }
  std::unique_ptr<crypto::TlsConnection> tls;
  if (!is_unix && options_.tls) {
    ASSIGN_OR_RETURN(const auto tls_options, options_.tls());
    ASSIGN_OR_RETURN(tls, crypto::TlsConnection::CreateServer(tls_options));
  }
  connections_.push_back(std::make_unique<Connection>(*this, share, std::move(socket),
                                                      std::move(peer), std::move(tls)));
  Connection& connection = *connections_.back();
  connection.index = connections_.size() - 1;
  connection.Start();
  Settle(connection);
  return absl::OkStatus();
}

absl::StatusOr<Shares::Share*> ConnectionSet::Join(const Shares::Owner& owner) {
  absl::StatusOr<Shares::Share*> share = shares_.Join(owner);
  if (!share.ok() && options_.observer != nullptr) {
    options_.observer->OnConnectionRefused();
  }
  if (!share.ok() && warn_timer_ == 0) {
    log::Warn("connection refused", {{"error", share.status()}});
    warn_timer_ = loop_.After(kWarnEvery, [this] { warn_timer_ = 0; });
  }
  return share;
}

bool ConnectionSet::JoinIdentity(Connection& connection) {
  const std::vector<std::string>& uris = connection.peer().tls_chain.front().uris();
  const auto share =
      Join({.name = "identity " + (uris.empty() ? std::string() : Quoted(uris.front())),
            .max_connections = limits().max_connections_per_address,
            .max_request_bytes = kMaxRequestBytesOfOne});
  if (share.ok()) {
    connection.MoveTo(**share);
  }
  return share.ok();
}

double ConnectionSet::Jitter() { return std::uniform_real_distribution<double>(0.9, 1.1)(random_); }

void ConnectionSet::Drain() {
  for (size_t i = connections_.size(); i-- > 0;) {
    Connection& connection = *connections_[i];
    connection.Shutdown();
    Settle(connection);
  }
}

void ConnectionSet::Settle(Connection& connection) {
  if (!connection.dead()) {
    return;
  }
  if (connection.flush_index != Connection::kNotListed) {
    to_flush_[connection.flush_index] = nullptr;
  }
  const std::unique_ptr<Connection> removed = std::move(connections_[connection.index]);
  if (removed->index + 1 != connections_.size()) {
    connections_[removed->index] = std::move(connections_.back());
    connections_[removed->index]->index = removed->index;
  }
  connections_.pop_back();
  if (++removed_since_trim_ >= kTrimAfter && trim_timer_ == 0) {
    TrimWhenQuiet();
  }
}

// After many callers have left, the allocator gives their memory back only when asked.
void ConnectionSet::TrimWhenQuiet() {
  removed_since_trim_ = 0;
  trim_timer_ = loop_.After(kQuiet, [this] {
    trim_timer_ = 0;
    malloc_trim(0);
  });
}

uint64_t ConnectionSet::Second() {
  // A timer runs only while somebody asks, so an idle server does not wake for it.
  if (second_timer_ == 0) {
    second_timer_ = loop_.After(absl::Seconds(1), [this] {
      second_timer_ = 0;
      ++second_;
    });
  }
  return second_;
}

void ConnectionSet::FlushSoon(Connection& connection) {
  if (connection.flush_index != Connection::kNotListed) {
    return;
  }
  connection.flush_index = to_flush_.size();
  to_flush_.push_back(&connection);
  if (flush_timer_ == 0) {
    flush_timer_ = loop_.After(absl::ZeroDuration(), [this] { FlushSome(); });
  }
}

void ConnectionSet::FlushSome() {
  flush_timer_ = 0;
  const size_t end = std::min(to_flush_.size(), flushed_ + kFlushesPerRound);
  while (flushed_ < end) {
    Connection* connection = to_flush_[flushed_++];
    if (connection != nullptr) {
      connection->flush_index = Connection::kNotListed;
      connection->Flush();
      Settle(*connection);
    }
  }
  if (flushed_ == to_flush_.size()) {
    to_flush_.clear();
    flushed_ = 0;
  } else if (flush_timer_ == 0) {
    flush_timer_ = loop_.After(absl::ZeroDuration(), [this] { FlushSome(); });
  }
}

}  // namespace assay::rpc
