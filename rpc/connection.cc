// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/secret.h"
#include "rpc/connection_set.h"

namespace assay::rpc {
namespace {

// What the calls of each connection may hold without asking.
constexpr size_t kHeldFreely = 16 << 10;
// Batches written in one go, so that one fast reader does not keep the others waiting.
constexpr int kBatchesPerRound = 4;
constexpr size_t kFrameHeaderBytes = 9;
// So long the server's SETTINGS wait for the answer to a call that came with the caller's.
constexpr absl::Duration kGreetingWait = absl::Milliseconds(1);
// For the answer to the notice that there will be a GOAWAY.
constexpr absl::Duration kGoawayGrace = absl::Seconds(10);

}  // namespace

Connection::Connection(ConnectionSet& set, Shares::Share& share, UniqueFd socket, Peer peer,
                       std::unique_ptr<crypto::TlsConnection> tls)
    : set_(set),
      share_(&share),
      socket_(std::move(socket)),
      peer_(std::move(peer)),
      tls_(std::move(tls)) {}

Connection::~Connection() {
  busy_ = true;
  // Handlers first: they may still look at their calls, which need the session.
  for (const auto& call : calls_) {
    call->DropHandler();
  }
  calls_.clear();
  backlog_ = Backlog();
  ChargeBacklog();
  nghttp2_session_del(session_);
  CancelTimer(open_timer_);
  CancelTimer(age_timer_);
  CancelTimer(greet_timer_);
  if (watched_ != 0) {
    set_.loop().Unwatch(socket_.get());
  }
  set_.shares().Leave(*share_);
}

// Before there is any call.
void Connection::MoveTo(Shares::Share& share) {
  set_.shares().ReleaseAnswer(*share_, std::exchange(charged_, 0));
  set_.shares().Leave(*share_);
  share_ = &share;
}

void Connection::CancelTimer(EventLoop::TimerId& timer) {
  set_.loop().Cancel(timer);
  timer = 0;
}

void Connection::Start() {
  watched_ = EPOLLIN;
  const absl::Status watched = set_.loop().Watch(socket_.get(), watched_, [this](uint32_t events) {
    OnReady(events);
    set_.Settle(*this);
  });
  if (!watched.ok()) {
    watched_ = 0;
    dead_ = true;
    return;
  }
  const Limits& limits = set_.limits();
  if (limits.handshake_timeout < absl::InfiniteDuration()) {
    open_timer_ = set_.loop().After(limits.handshake_timeout, [this] { OnHandshakeTimeout(); });
  }
  if (limits.max_connection_age < absl::InfiniteDuration()) {
    age_timer_ = set_.loop().After(limits.max_connection_age * set_.Jitter(), [this] {
      age_timer_ = 0;
      Shutdown();
      set_.Settle(*this);
    });
  }
  // The first request is often there already.
  OnReady(EPOLLIN);
}

bool Connection::StartSession() {
  session_ = set_.NewSession(*this);
  const std::array<nghttp2_settings_entry, 3> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, set_.limits().max_streams_per_connection},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<uint32_t>(set_.limits().max_header_bytes)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  }};
  if (session_ == nullptr ||
      nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) != 0) {
    dead_ = true;
  }
  return !dead_;
}

void Connection::OnReady(uint32_t events) {
  busy_ = true;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    // Nobody is there to be answered, whatever was sent before.
    dead_ = true;
  } else if (backlog_.empty()) {
    Read();
  }
  Flush();
}

void Connection::Read() {
  auto& buffer = set_.read_buffer();
  const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size <= 0) {
    dead_ = size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    return;
  }
  const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
  if (tls_) {
    FeedTls(bytes);
  } else {
    FeedSession(bytes);
  }
  // It may have been a token, and the buffer is everybody's.
  Wipe(buffer.data(), bytes.size());
}

void Connection::FeedTls(std::string_view bytes) {
  const absl::Status fed = tls_->Feed(bytes);
  backlog_.Add(nullptr, tls_->TakeOutput());
  if (!backlog_.WriteTo(socket_.get()).ok() || !fed.ok()) {
    if (!fed.ok()) {
      log::Debug("TLS handshake failed", {{"address", peer_.address}, {"error", fed}});
    }
    dead_ = true;
    return;
  }
  if (tls_->handshake_done() && !joined_) {
    joined_ = true;
    peer_.tls_chain = tls_->peer_chain();
    if (!peer_.tls_chain.empty() && !set_.JoinIdentity(*this)) {
      dead_ = true;
      return;
    }
  }
  std::string plain = tls_->TakePlaintext();
  if (!plain.empty()) {
    FeedSession(plain);
    Wipe(plain.data(), plain.size());
  }
  dead_ = dead_ || tls_->peer_closed();
}

// The session starts with the caller's first bytes: one that says nothing costs little, and the
// server's SETTINGS go out together with the answer to the caller's.
void Connection::FeedSession(std::string_view bytes) {
  if (session_ == nullptr && !StartSession()) {
    return;
  }
  while (!bytes.empty() && !dead_) {
    const size_t size = scanner_.Scan(bytes);
    const ssize_t taken =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), size);
    dead_ = dead_ || taken < 0;
    bytes.remove_prefix(size);
    if (scanner_.at_frame()) {
      OnFrameBegin(scanner_.header());
    }
  }
}

void Connection::Flush() {
  if (HoldGreeting()) {
    busy_ = false;
    return;
  }
  busy_ = true;
  int batches = 0;
  do {
    touched_ = false;
    ReapHandlers();
    while (!dead_ && batches < kBatchesPerRound && WriteBatch()) {
      ++batches;
    }
  } while (touched_ && !dead_ && batches < kBatchesPerRound);
  ChargeBacklog();
  busy_ = false;
  if (dead_) {
    return;
  }
  if (flooding_) {
    dead_ = true;
  } else if (session_ != nullptr && backlog_.empty() && nghttp2_session_want_read(session_) == 0 &&
             nghttp2_session_want_write(session_) == 0) {
    EndInOrder();
  } else {
    if (batches == kBatchesPerRound && backlog_.empty()) {
      set_.FlushSoon(*this);
    }
    WatchWhatMatters();
  }
}

// Whether there is nothing to write yet but SETTINGS, and an answer to follow.
bool Connection::HoldGreeting() {
  if (greeted_ || dead_ || session_ == nullptr) {
    return false;
  }
  if (!asked_ || answered_ || calls_.empty() || flooding_) {
    greeted_ = true;
    CancelTimer(greet_timer_);
    return false;
  }
  if (greet_timer_ == 0) {
    greet_timer_ = set_.loop().After(kGreetingWait, [this] {
      greet_timer_ = 0;
      greeted_ = true;
      Flush();
      set_.Settle(*this);
    });
  }
  return true;
}

// Closing with unread bytes would destroy the GOAWAY on its way to the caller.
void Connection::EndInOrder() {
  if (tls_) {
    tls_->Close();
    backlog_.Add(nullptr, tls_->TakeOutput());
    backlog_.WriteTo(socket_.get()).IgnoreError();
  }
  auto& buffer = set_.read_buffer();
  recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  dead_ = true;
}

bool Connection::WriteBatch() {
  if (!backlog_.empty()) {
    dead_ = !backlog_.WriteTo(socket_.get()).ok();
    if (dead_ || !backlog_.empty()) {
      return false;
    }
  }
  if (session_ == nullptr || !FillBatch()) {
    return false;
  }
  dead_ = !set_.batch().WriteTo(socket_.get(), tls_.get(), backlog_).ok();
  return !dead_ && backlog_.empty();
}

bool Connection::FillBatch() {
  OutputBatch& batch = set_.batch();
  while (batch.HasRoom()) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) {
      dead_ = dead_ || size < 0;
      break;
    }
    batch.AddControl({reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)});
  }
  return !batch.empty();
}

int Connection::SendData(ServerCall& call, const uint8_t* frame_header, size_t size) {
  OutputBatch& batch = set_.batch();
  if (!batch.HasRoom()) {
    return NGHTTP2_ERR_WOULDBLOCK;
  }
  batch.AddControl({reinterpret_cast<const char*>(frame_header), kFrameHeaderBytes});
  call.Take(size, batch);
  guard_.Earn();
  return 0;
}

void Connection::WatchWhatMatters() {
  // While the caller does not read, nothing more is read from it: neither its requests nor what
  // HTTP/2 itself would answer can pile up.
  const uint32_t wanted = backlog_.empty() ? EPOLLIN : EPOLLOUT;
  if (wanted != watched_) {
    watched_ = wanted;
    dead_ = !set_.loop().Modify(socket_.get(), wanted).ok();
  }
}

void Connection::ReapHandlers() {
  while (has_finished_) {
    has_finished_ = false;
    for (size_t i = 0; i < calls_.size(); ++i) {
      if (calls_[i]->finished()) {
        calls_[i]->DropHandler();
      }
    }
  }
}

void Connection::Shutdown() {
  if (shutting_down_ || dead_) {
    return;
  }
  shutting_down_ = true;
  if (session_ == nullptr) {
    dead_ = true;
    return;
  }
  // Calls on their way are still served: the final GOAWAY follows when the caller has answered.
  nghttp2_submit_shutdown_notice(session_);
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  Touch();
  CancelTimer(age_timer_);
  age_timer_ = set_.loop().After(kGoawayGrace, [this] {
    age_timer_ = 0;
    SubmitFinalGoaway();
    EndWithin(set_.limits().shutdown_grace);
  });
}

void Connection::SubmitFinalGoaway() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  Touch();
}

void Connection::EndWithin(absl::Duration grace) {
  age_timer_ = set_.loop().After(grace, [this] {
    age_timer_ = 0;
    dead_ = true;
    set_.Settle(*this);
  });
}

void Connection::OnHandshakeTimeout() {
  open_timer_ = 0;
  if (session_ != nullptr) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    Flush();
  }
  dead_ = true;
  set_.Settle(*this);
}

void Connection::StartIdleTimer() {
  const Limits& limits = set_.limits();
  const absl::Duration timeout =
      refused_ ? std::min(limits.refused_timeout, limits.idle_timeout) : limits.idle_timeout;
  if (timeout < absl::InfiniteDuration()) {
    CancelTimer(open_timer_);
    open_timer_ = set_.loop().After(timeout, [this] {
      open_timer_ = 0;
      Shutdown();
      set_.Settle(*this);
    });
  }
}

void Connection::Touch() {
  touched_ = true;
  if (!busy_) {
    set_.FlushSoon(*this);
  }
}

SharedFrame Connection::AddPending(SharedFrame frame) {
  answered_ = true;
  if (dead_) {
    return nullptr;
  }
  const size_t size = frame->bytes().size();
  const bool within = pending_ + size + backlog_.bytes() <= set_.limits().max_pending_bytes;
  const bool alone = frame.use_count() == 1;
  SharedFrame kept = within && alone ? Charged(std::move(frame)) : std::move(frame);
  if (!within || kept == nullptr) {
    EndForUnread();
    return nullptr;
  }
  pending_ += size;
  return kept;
}

void Connection::DropPending(size_t bytes) { pending_ -= bytes; }

// It goes on being charged in a batch and in the backlog, whole as it is held. Null: that is too
// much.
SharedFrame Connection::Charged(SharedFrame frame) {
  const size_t size = frame->bytes().size();
  if (!set_.shares().HoldAnswer(*share_, size)) {
    return nullptr;
  }
  const Frame* bytes = frame.get();
  return {bytes, [frame = std::move(frame), &shares = set_.shares(), share = share_,
                  size](const Frame*) mutable {
            frame.reset();
            shares.ReleaseAnswer(*share, size);
          }};
}

void Connection::ChargeBacklog() {
  const size_t copied = backlog_.copied_bytes();
  if (copied > charged_ && !set_.shares().HoldAnswer(*share_, copied - charged_)) {
    EndForUnread();
    return;
  }
  if (copied < charged_) {
    set_.shares().ReleaseAnswer(*share_, charged_ - copied);
  }
  charged_ = copied;
}

void Connection::EndForUnread() {
  log::Debug("caller does not read its answers",
             {{"pid", peer_.process.pid}, {"address", peer_.address}});
  dead_ = true;
  Touch();
}

bool Connection::Hold(size_t before, size_t now) {
  const size_t held = held_ - before + now;
  const size_t shared = held > kHeldFreely ? held - kHeldFreely : 0;
  if (shared > shared_ && !set_.shares().HoldRequest(*share_, shared - shared_)) {
    return false;
  }
  if (shared < shared_) {
    set_.shares().ReleaseRequest(*share_, shared_ - shared);
  }
  held_ = held;
  shared_ = shared;
  return true;
}

void Connection::OnCallStarted() {
  if (!had_call_) {
    had_call_ = true;
    CancelTimer(open_timer_);
  }
}

void Connection::OnCallFinished(bool refused) {
  answered_ = true;
  refused_ = refused;
  has_finished_ = true;
  Touch();
}

ServerCall* Connection::NewCall(int32_t stream_id) {
  if (had_call_) {
    CancelTimer(open_timer_);
  }
  calls_.push_back(std::make_unique<ServerCall>(*this, stream_id));
  calls_.back()->index = calls_.size() - 1;
  return calls_.back().get();
}

void Connection::OnStreamClosed(int32_t stream_id, ServerCall* call) {
  const bool by_caller =
      last_reset_ == stream_id || nghttp2_session_get_stream_remote_close(session_, stream_id) == 1;
  closed_.Add(stream_id, by_caller);
  if (call != nullptr) {
    RemoveCall(call);
  }
}

void Connection::RemoveCall(ServerCall* call) {
  // Out of the list before the handler's destructor runs, which may look at other calls.
  const std::unique_ptr<ServerCall> closed = std::move(calls_[call->index]);
  if (closed->index + 1 != calls_.size()) {
    calls_[closed->index] = std::move(calls_.back());
    calls_[closed->index]->index = closed->index;
  }
  calls_.pop_back();
  closed->DropHandler();
  if (calls_.empty()) {
    std::vector<std::unique_ptr<ServerCall>>().swap(calls_);
    if (had_call_) {
      StartIdleTimer();
    }
  }
}

void Connection::EndForFlood() {
  if (!flooding_) {
    flooding_ = true;
    log::Debug("connection closed for a flood of control frames",
               {{"pid", peer_.process.pid}, {"address", peer_.address}});
    nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

// A frame on a stream that nghttp2 has forgotten, and would skip.
void Connection::CheckClosedStream(const FrameHeader& header) {
  if (nghttp2_session_find_stream(session_, header.stream_id) != nullptr) {
    return;
  }
  if (closed_.ClosedByCaller(header.stream_id)) {
    nghttp2_session_terminate_session(session_, NGHTTP2_STREAM_CLOSED);
  } else if (header.type == NGHTTP2_HEADERS && header.stream_id <= last_stream_ &&
             !closed_.ClosedByServer(header.stream_id)) {
    // A new stream must have a larger number than all before (RFC 9113 5.1.1).
    nghttp2_session_terminate_session(session_, NGHTTP2_PROTOCOL_ERROR);
  }
  if (header.type == NGHTTP2_HEADERS) {
    last_stream_ = std::max(last_stream_, header.stream_id);
  }
}

// A caller that has had an answer of a stream ends it by a reset: it has no other way.
bool Connection::IsAnswered(int32_t stream) const {
  const auto* call =
      static_cast<ServerCall*>(nghttp2_session_get_stream_user_data(session_, stream));
  return call != nullptr && call->answered();
}

void Connection::OnFrameBegin(const FrameHeader& header) {
  bool within = true;
  if (header.type == NGHTTP2_HEADERS || header.type == NGHTTP2_DATA) {
    CheckClosedStream(header);
  }
  switch (header.type) {
    case NGHTTP2_HEADERS:
      guard_.Earn();
      break;
    case NGHTTP2_DATA:
      if (header.length > 0) {
        guard_.Earn();
      } else {
        within = guard_.ChargeOverhead(set_.Second());
      }
      break;
    case NGHTTP2_RST_STREAM:
      last_reset_ = header.stream_id;
      within = IsAnswered(header.stream_id) || guard_.ChargeReset(set_.Second());
      break;
    case NGHTTP2_PRIORITY:
      // nghttp2 skips priorities that it was told not to obey, and with them this check.
      if (header.stream_id == 0) {
        nghttp2_session_terminate_session(session_, NGHTTP2_PROTOCOL_ERROR);
      }
      within = guard_.ChargeOverhead(set_.Second());
      break;
    default:
      within = guard_.ChargeOverhead(set_.Second());
  }
  if (!within) {
    EndForFlood();
  }
}

void Connection::OnFrame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_PING) {
    if (shutting_down_ && (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) {
      SubmitFinalGoaway();
    }
    return;
  }
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) {
    return;
  }
  auto* call =
      static_cast<ServerCall*>(nghttp2_session_get_stream_user_data(session_, frame.hd.stream_id));
  if (call == nullptr) {
    return;
  }
  const bool ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (frame.hd.type == NGHTTP2_HEADERS) {
    frame.headers.cat == NGHTTP2_HCAT_REQUEST ? call->OnHeadersEnd(ends)
                                              : call->OnTrailersEnd(ends);
  }
  if (ends) {
    asked_ = true;
    call->OnEnd();
  }
}

void Connection::OnFrameSent(const nghttp2_frame& frame) {
  const int32_t stream = frame.hd.stream_id;
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    // Streams that the caller makes us reset cost as much as those it resets.
    if (frame.rst_stream.error_code != NGHTTP2_NO_ERROR && !guard_.ChargeReset(set_.Second())) {
      EndForFlood();
    }
  } else if (frame.hd.type == NGHTTP2_HEADERS && (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
             nghttp2_session_get_stream_remote_close(session_, stream) == 0) {
    // The answer is complete and nobody reads the rest of the request (RFC 9113 8.1).
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_NO_ERROR);
  }
}

}  // namespace assay::rpc
