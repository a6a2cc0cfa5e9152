// SPDX-License-Identifier: GPL-3.0-or-later
// A channel between two roles: a SOCK_SEQPACKET pair that carries one small protobuf message a
// packet, with at most one descriptor beside it. A packet longer than kMaxMessageBytes, a truncated
// one, or more than one descriptor ends the channel: the other end is then not trusted any more.
// What could not be written yet is queued here, in order. Owned by the event loop's thread.
#pragma once

#include <google/protobuf/message_lite.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

class Channel final {
 public:
  static constexpr size_t kMaxMessageBytes = 128 << 10;

  // Gets each message's bytes and its descriptor: invalid when none came, or when this process had
  // no room for it. May destroy the channel.
  using OnMessage = std::function<void(std::string_view bytes, UniqueFd fd)>;
  // Called once when the other end is gone or broke the rules. May destroy the channel.
  using OnClosed = std::function<void(const absl::Status& why)>;

  // Two connected ends, both close-on-exec.
  static absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePair();

  // Starts reading on the loop, which must outlive the channel.
  static absl::StatusOr<std::unique_ptr<Channel>> Create(EventLoop& loop, UniqueFd fd,
                                                         OnMessage on_message, OnClosed on_closed);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Sends a message, and a duplicate of fd when it is not -1. A message over the cap is our bug and
  // is refused with Internal; a closed channel drops it silently (on_closed has told).
  absl::Status Send(const google::protobuf::MessageLite& message, int fd = -1);
  // Reads what has come, of which the loop may not have told yet. As OnMessage does, it may destroy
  // the channel.
  void ReadAll();
  // Bytes queued because the other end reads slowly.
  size_t queued_bytes() const { return queued_bytes_; }

 private:
  struct Packet {
    std::string bytes;
    UniqueFd fd;
  };

  Channel(EventLoop& loop, UniqueFd fd, OnMessage on_message, OnClosed on_closed);
  void OnReady(uint32_t events);
  // False: there is no more for now.
  bool Read();
  bool Flush();
  // Whether the kernel took the packet; sets closed when the other end is gone.
  bool Write(std::string_view bytes, int fd);
  void Close(const absl::Status& why);

  EventLoop& loop_;
  UniqueFd fd_;
  const OnMessage on_message_;
  const OnClosed on_closed_;
  const std::unique_ptr<char[]> buffer_;
  std::deque<Packet> queue_;
  size_t queued_bytes_ = 0;
  // Outlives the channel during a callback, to tell that it destroyed it.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace assay
