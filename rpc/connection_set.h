// SPDX-License-Identifier: GPL-3.0-or-later
// The open connections of a server, what they share (nghttp2's settings and memory, the read and
// output buffers), and the limits that hold across them.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <memory>
#include <random>
#include <vector>

#include "base/event_loop.h"
#include "rpc/call.h"
#include "rpc/connection.h"
#include "rpc/output.h"
#include "rpc/server.h"
#include "rpc/session_memory.h"
#include "rpc/shares.h"

namespace assay::rpc {

class ConnectionSet final {
 public:
  // All must outlive the set.
  ConnectionSet(EventLoop& loop, const Registry& registry, const Server::Options& options);
  ~ConnectionSet();
  ConnectionSet(const ConnectionSet&) = delete;
  ConnectionSet& operator=(const ConnectionSet&) = delete;

  // Takes over an accepted socket: identifies the peer, applies the limits, and starts. An error
  // closed it.
  absl::Status Add(UniqueFd socket, bool is_unix);
  size_t size() const { return connections_.size(); }
  void Drain();

  // For connections.
  EventLoop& loop() { return loop_; }
  const Registry& registry() const { return registry_; }
  const Server::Options& options() const { return options_; }
  const Limits& limits() const { return options_.limits; }
  OutputBatch& batch() { return batch_; }
  std::array<char, 64 << 10>& read_buffer() { return *read_buffer_; }
  // A new nghttp2 session; null when memory is short.
  nghttp2_session* NewSession(Connection& connection);
  // Counts seconds in which somebody asked.
  uint64_t Second();
  // Flushes the connection before the loop waits again.
  void FlushSoon(Connection& connection);
  // Destroys the connection if it is dead: the last thing any of its events does.
  void Settle(Connection& connection);
  Shares& shares() { return shares_; }
  // Counts the connection among those of the identity that its certificate proves; false when that
  // has too many.
  bool JoinIdentity(Connection& connection);
  // Between 0.9 and 1.1, another one each time, so that connections made together end apart.
  double Jitter();

 private:
  absl::Status AddTo(Shares::Share& share, UniqueFd socket, Peer peer);
  absl::StatusOr<Shares::Share*> Join(const Shares::Owner& owner);
  void FlushSome();
  void TrimWhenQuiet();

  EventLoop& loop_;
  const Registry& registry_;
  const Server::Options& options_;
  SessionMemory memory_;
  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_option* session_options_ = nullptr;
  OutputBatch batch_;
  std::unique_ptr<std::array<char, 64 << 10>> read_buffer_;
  Shares shares_;  // Before the connections, which leave it.
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> to_flush_;  // Null where one died meanwhile.
  size_t flushed_ = 0;                 // Of to_flush_.
  EventLoop::TimerId flush_timer_ = 0;
  EventLoop::TimerId second_timer_ = 0;
  EventLoop::TimerId trim_timer_ = 0;
  EventLoop::TimerId warn_timer_ = 0;  // Runs while a warning would repeat the last.
  uint64_t second_ = 0;
  uint64_t next_connection_id_ = 1;
  std::minstd_rand random_{std::random_device{}()};
  size_t removed_since_trim_ = 0;
};

}  // namespace assay::rpc
