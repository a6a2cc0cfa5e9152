// SPDX-License-Identifier: GPL-3.0-or-later
// A TLS connection to the upstream for a library that speaks plaintext: what that writes to its end
// of a socketpair goes out encrypted, what comes in is decrypted to it. Bytes wait in the kernel,
// not here, when either side is slow. All of it happens on the thread of a TunnelThread; the public
// methods are thread-safe.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "crypto/tls.h"

namespace assay {

class Tunnel final : public std::enable_shared_from_this<Tunnel> {
 public:
  struct Options {
    std::shared_ptr<const crypto::TlsIdentity> identity;  // Null: anonymous.
    crypto::ChainVerifier verify_server;                  // Called on the tunnel's thread.
    absl::Duration handshake_timeout = absl::Seconds(10);
  };

  // Begins the handshake on network, a connected non-blocking socket; local is this side's end of
  // the socketpair. The loop must outlive the tunnel's descriptors.
  static std::shared_ptr<Tunnel> Start(EventLoop& loop, UniqueFd network, UniqueFd local,
                                       Options options);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // Blocks until the handshake is done: OK, or why it failed.
  absl::Status WaitUntilOpen();
  // Whether bytes still pass.
  bool alive() const { return alive_; }
  // Why they pass no more: OK while they do, and after a mere end.
  absl::Status failure() const;
  // Ends the connection, telling the upstream.
  void Close();

 private:
  enum class State { kHandshake, kOpen, kDead };
  // Bytes on their way to a descriptor.
  struct Outlet {
    std::string bytes;
    size_t sent = 0;
    size_t size() const { return bytes.size() - sent; }
    void Append(std::string more);
  };

  Tunnel(EventLoop& loop, UniqueFd network, UniqueFd local, Options options);
  void Begin();
  void OnNetwork(uint32_t events);
  void OnLocal(uint32_t events);
  // Moves what waits, then decides what to wait for.
  void Pump();
  bool ReadNetwork();
  bool ReadLocal();
  absl::Status Feed(std::string_view bytes);
  absl::Status Flush(const UniqueFd& to, Outlet& outlet);
  void End(const absl::Status& why);
  void EnterState(State state, const absl::Status& why);

  EventLoop& loop_;
  const Options options_;
  UniqueFd network_;
  UniqueFd local_;
  std::unique_ptr<crypto::TlsConnection> tls_;
  Outlet to_network_, to_local_;
  bool local_watched_ = false;
  EventLoop::TimerId handshake_timer_ = 0;

  std::atomic<bool> alive_ = false;
  mutable Mutex mutex_;
  CondVar changed_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kHandshake;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

// The long-lived thread that tunnels run on.
class TunnelThread final {
 public:
  // The clock must outlive it.
  static absl::StatusOr<std::unique_ptr<TunnelThread>> Create(const Clock& clock);
  // Ends the thread; tunnels on it pass nothing more.
  ~TunnelThread();
  TunnelThread(const TunnelThread&) = delete;
  TunnelThread& operator=(const TunnelThread&) = delete;

  EventLoop& loop() { return *loop_; }

 private:
  explicit TunnelThread(std::unique_ptr<EventLoop> loop);

  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace assay
