// SPDX-License-Identifier: GPL-3.0-or-later
// A caller of the Workload API that costs little itself: one HTTP/2 connection on a Unix socket
// (nghttp2), one call at a time, driven by an epoll descriptor of the owner's.
#pragma once

#include <nghttp2/nghttp2.h>

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay::bench {

class LoadClient final {
 public:
  // Called for each whole message of the open call.
  using OnMessage = std::function<void(size_t bytes)>;
  // Called when the call or the connection ended; grpc_status is -1 when the peer sent none.
  using OnEnd = std::function<void(int grpc_status)>;

  static absl::StatusOr<std::unique_ptr<LoadClient>> Connect(const std::string& socket);
  ~LoadClient();
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  int fd() const { return fd_.get(); }
  // Opens a call with this request (protobuf bytes), replacing the callbacks.
  absl::Status Call(const std::string& method, const std::string& request, OnMessage on_message,
                    OnEnd on_end);
  // The same, but the request's side stays open for Say, and message() has what came last.
  absl::Status Open(const std::string& method, const std::string& request, OnMessage on_message,
                    OnEnd on_end);
  // Sends another message on a call that Open began, if it is open still; from OnMessage.
  void Say(const std::string& request);
  // The message that OnMessage is called for.
  const std::string& message() const { return message_; }
  // Ends the open call from this side.
  void Cancel();
  // Reads and writes what is possible; false when the connection is gone.
  bool OnReady();

 private:
  friend struct LoadClientCallbacks;

  explicit LoadClient(UniqueFd fd);
  absl::Status Start();
  absl::Status Submit(const std::string& method, const std::string& request);
  void PutRequest(const std::string& request);
  bool Flush();
  void Feed(const uint8_t* data, size_t size);

  const UniqueFd fd_;
  nghttp2_session* session_ = nullptr;
  int32_t stream_ = -1;
  std::string request_;
  size_t request_sent_ = 0;
  std::string prefix_;
  size_t message_left_ = 0;
  size_t message_size_ = 0;
  bool stays_open_ = false;
  std::string message_;  // When it stays open.
  int grpc_status_ = -1;
  OnMessage on_message_;
  OnEnd on_end_;
};

}  // namespace assay::bench
