// SPDX-License-Identifier: GPL-3.0-or-later
// One HTTP/2 connection of a caller (RFC 9113): the socket, TLS when there is one, nghttp2's
// session, and the calls open on it. Belongs to a ConnectionSet, which destroys it when it is dead.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "crypto/tls.h"
#include "rpc/closed_streams.h"
#include "rpc/flood_guard.h"
#include "rpc/frame_scanner.h"
#include "rpc/output.h"
#include "rpc/peer.h"
#include "rpc/server_call.h"
#include "rpc/shares.h"

namespace assay::rpc {

class ConnectionSet;

class Connection final {
 public:
  // One of those counted in share. tls may be null.
  Connection(ConnectionSet& set, Shares::Share& share, UniqueFd socket, Peer peer,
             std::unique_ptr<crypto::TlsConnection> tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Starts to read and write.
  void Start();
  // The socket is ready.
  void OnReady(uint32_t events);
  // Writes what calls have queued, and destroys the handlers of finished ones.
  void Flush();
  // Tells the caller to open no more calls; the connection ends with its last call, or when they
  // take too long.
  void Shutdown();
  // Must be destroyed: by its set, when no code of its own runs.
  bool dead() const { return dead_ && !busy_; }
  Peer& peer() { return peer_; }
  // Counts in another share from now on, in which it has been counted.
  void MoveTo(Shares::Share& share);

  // For the calls of this connection.
  ConnectionSet& set() { return set_; }
  nghttp2_session* session() { return session_; }
  // Something awaits Flush().
  void Touch();
  // Nothing of it is worth more work.
  bool lost() const { return dead_; }
  // An answer waits to be written: the frame to hold it by, which charges what nobody else has to
  // the owner until it is gone. Null: it is not to be kept, for the connection is lost or is so
  // now.
  SharedFrame AddPending(SharedFrame frame);
  void DropPending(size_t bytes);
  void OnCallStarted();
  void OnCallFinished(bool refused);
  // What a call holds of its request grew or shrank. False: there is no memory for it.
  bool Hold(size_t before, size_t now);

  // For nghttp2's callbacks.
  ServerCall* NewCall(int32_t stream_id);
  void OnStreamClosed(int32_t stream_id, ServerCall* call);
  void OnFrame(const nghttp2_frame& frame);
  void OnFrameSent(const nghttp2_frame& frame);
  // WOULDBLOCK of nghttp2 when the batch is full.
  int SendData(ServerCall& call, const uint8_t* frame_header, size_t size);

  size_t index = 0;  // Where the set keeps it.
  // Where the set keeps it among those to flush, or kNotListed.
  static constexpr size_t kNotListed = static_cast<size_t>(-1);
  size_t flush_index = kNotListed;

 private:
  bool StartSession();
  void Read();
  void FeedTls(std::string_view bytes);
  void FeedSession(std::string_view bytes);
  // True: write nothing yet, for there are only SETTINGS and an answer will follow. A timer ends
  // the wait.
  bool HoldGreeting();
  // One batch; false when there is no more to write now.
  bool WriteBatch();
  bool FillBatch();
  void WatchWhatMatters();
  void RemoveCall(ServerCall* call);
  void ReapHandlers();
  void EndForFlood();
  void OnFrameBegin(const FrameHeader& header);
  void CheckClosedStream(const FrameHeader& header);
  bool IsAnswered(int32_t stream) const;
  void EndInOrder();
  void OnHandshakeTimeout();
  void StartIdleTimer();
  void SubmitFinalGoaway();
  void EndWithin(absl::Duration grace);
  void CancelTimer(EventLoop::TimerId& timer);
  SharedFrame Charged(SharedFrame frame);
  void ChargeBacklog();
  void EndForUnread();

  ConnectionSet& set_;
  Shares::Share* share_;
  const UniqueFd socket_;
  Peer peer_;
  const std::unique_ptr<crypto::TlsConnection> tls_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<ServerCall>> calls_;
  Backlog backlog_;
  FrameScanner scanner_;
  FloodGuard guard_;
  ClosedStreams closed_;
  size_t pending_ = 0;       // Bytes of answers that the calls still have.
  size_t held_ = 0;          // Bytes of requests in calls,
  size_t shared_ = 0;        // and the part of them taken from the share's memory.
  size_t charged_ = 0;       // Of the backlog's own bytes.
  int32_t last_stream_ = 0;  // The largest number seen.
  int32_t last_reset_ = 0;   // Reset last by the caller.
  uint32_t watched_ = 0;
  EventLoop::TimerId open_timer_ = 0;   // Handshake at first, idle later.
  EventLoop::TimerId greet_timer_ = 0;  // Ends the wait for the first answer.
  EventLoop::TimerId age_timer_ = 0;    // Once of age: what is left of the grace.
  bool dead_ = false;
  bool joined_ = false;        // TLS has shown who it is.
  bool greeted_ = false;       // SETTINGS are on their way.
  bool asked_ = false;         // A whole request came.
  bool answered_ = false;      // A call had something to write, or ended.
  bool busy_ = false;          // OnReady, Flush or Shutdown runs.
  bool has_finished_ = false;  // A finished call has a handler.
  bool touched_ = false;       // Touch() was called meanwhile.
  bool shutting_down_ = false;
  bool flooding_ = false;
  bool had_call_ = false;
  bool refused_ = false;  // The last call that ended was.
};

}  // namespace assay::rpc
