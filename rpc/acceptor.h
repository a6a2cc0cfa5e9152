// SPDX-License-Identifier: GPL-3.0-or-later
// Accepts connections on one listening socket. When descriptors run out, a reserve turns callers
// away instead of leaving the loop to spin.
#pragma once

#include <functional>
#include <memory>

#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay::rpc {

class Acceptor final {
 public:
  // Gets each accepted socket, on the loop's thread; is_unix says of which family.
  using OnAccept = std::function<void(UniqueFd socket, bool is_unix)>;

  // The loop must outlive the acceptor.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Create(EventLoop& loop, UniqueFd listener,
                                                          OnAccept on_accept);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

 private:
  Acceptor(EventLoop& loop, UniqueFd listener, OnAccept on_accept, bool is_unix);
  absl::Status Watch();
  void AcceptSome();
  void OnExhausted(int error);
  void Pause();

  EventLoop& loop_;
  const UniqueFd listener_;
  const OnAccept on_accept_;
  const bool is_unix_;
  UniqueFd reserve_;
  EventLoop::TimerId pause_timer_ = 0;
};

}  // namespace assay::rpc
