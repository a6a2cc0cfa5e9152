// SPDX-License-Identifier: GPL-3.0-or-later
// A TLS connection to the upstream for a library that speaks plaintext: what that writes to its end
// of a socketpair goes out encrypted, what comes in is decrypted to it. Bytes wait in the kernel,
// not here, when either side is slow. All of it happens on the thread of a TunnelThread; the public
// methods are thread-safe.
#pragma once

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
#include "upstream/goaway_watch.h"

namespace assay {

class Tunnel final : public std::enable_shared_from_this<Tunnel> {
 public:
  // Passes bytes between network, on which tls has made its handshake, and local, this side's end
  // of the socketpair. The loop must outlive the tunnel's descriptors.
  static std::shared_ptr<Tunnel> Start(EventLoop& loop, UniqueFd network, UniqueFd local,
                                       std::unique_ptr<crypto::TlsConnection> tls);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // Whether bytes still pass.
  bool alive() const { return alive_; }
  // Whether new calls may be made: it is alive, and the upstream has not told it to go away.
  bool takes_calls() const { return alive_ && !told_to_go_; }
  // Why they pass no more: OK while they do, and after a mere end.
  absl::Status failure() const;
  // Ends the connection, telling the upstream.
  void Close();

 private:
  // Bytes on their way to a descriptor.
  struct Outlet {
    std::string bytes;
    size_t sent = 0;
    size_t size() const { return bytes.size() - sent; }
    void Append(std::string more);
  };

  Tunnel(EventLoop& loop, UniqueFd network, UniqueFd local,
         std::unique_ptr<crypto::TlsConnection> tls);
  void Begin();
  void OnNetwork(uint32_t events);
  void OnLocal(uint32_t events);
  // Moves what waits, then decides what to wait for.
  void Pump();
  bool ReadNetwork();
  bool TakeDecrypted();
  bool ReadLocal();
  absl::Status Flush(const UniqueFd& to, Outlet& outlet);
  void End(const absl::Status& why);

  EventLoop& loop_;
  UniqueFd network_;
  UniqueFd local_;
  std::unique_ptr<crypto::TlsConnection> tls_;
  Outlet to_network_, to_local_;
  GoawayWatch goaway_watch_;

  std::atomic<bool> alive_ = true;
  std::atomic<bool> told_to_go_ = false;
  mutable Mutex mutex_;
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
