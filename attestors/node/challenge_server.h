// SPDX-License-Identifier: GPL-3.0-or-later
// A small HTTP/1.1 server (RFC 9112) on a TCP port that gives one text at one path to whoever asks,
// and 404 for the rest. Requests are bounded in size, number and time, and their bytes are
// compared, not parsed; of too many callers those of the address with most go, the oldest first,
// and users of this machine share a few, so that they do not keep the upstream from what it asks
// for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

class ChallengeServer final {
 public:
  static constexpr size_t kMaxCallers = 32;         // At a time.
  static constexpr size_t kMaxLoopbackCallers = 4;  // Of them.

  // Listens on all addresses; port 0 is any free one. Callers wait until Serve.
  static absl::StatusOr<std::unique_ptr<ChallengeServer>> Listen(uint16_t port);
  ~ChallengeServer();
  ChallengeServer(const ChallengeServer&) = delete;
  ChallengeServer& operator=(const ChallengeServer&) = delete;

  uint16_t port() const { return port_; }
  // Serves on a thread of its own until the server dies. To be called once; the path is absolute.
  absl::Status Serve(std::string_view path, std::string_view text);

 private:
  struct Caller {
    UniqueFd connection;
    std::string address;  // As bytes; of IPv6 its /64; empty: loopback.
    std::string request;
    EventLoop::TimerId deadline = 0;
  };

  ChallengeServer(UniqueFd listener, uint16_t port) : listener_(std::move(listener)), port_(port) {}
  void Accept();
  void MakeRoomFor(const std::string& address);
  void EndOldestOf(const std::string& address);
  // Of the address that has most.
  void EndOldest();
  void Pause();
  // Of the caller with this number.
  void Read(uint64_t number);
  void End(uint64_t number);

  const SystemClock clock_;
  const UniqueFd listener_;
  const uint16_t port_;
  std::string request_line_, answer_;
  std::unique_ptr<EventLoop> loop_;  // Null until Serve.
  // The thread's. The callers are numbered from the oldest on.
  std::map<uint64_t, Caller> callers_;
  uint64_t next_number_ = 0;
  std::thread thread_;
};

}  // namespace assay
