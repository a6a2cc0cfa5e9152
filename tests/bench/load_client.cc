// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/bench/load_client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace assay::bench {
namespace {

constexpr size_t kPrefixBytes = 5;
constexpr int kWindowBytes = 8 << 20;

nghttp2_nv Header(std::string_view name, std::string_view value) {
  nghttp2_nv header{};
  header.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
  header.value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
  header.namelen = name.size();
  header.valuelen = value.size();
  return header;
}

}  // namespace

struct LoadClientCallbacks {
  static LoadClient& Of(void* user) { return *static_cast<LoadClient*>(user); }

  static ssize_t ReadRequest(nghttp2_session*, int32_t, uint8_t* buffer, size_t length,
                             uint32_t* flags, nghttp2_data_source*, void* user) {
    LoadClient& client = Of(user);
    const size_t take = std::min(length, client.request_.size() - client.request_sent_);
    std::memcpy(buffer, client.request_.data() + client.request_sent_, take);
    client.request_sent_ += take;
    if (client.request_sent_ == client.request_.size() && !client.stays_open_) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (take == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(take);
  }

  static int OnData(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size,
                    void* user) {
    LoadClient& client = Of(user);
    if (stream == client.stream_) {
      client.Feed(data, size);
    }
    return 0;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* user) {
    LoadClient& client = Of(user);
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    if (frame->hd.stream_id == client.stream_ && key == "grpc-status") {
      client.grpc_status_ =
          std::atoi(std::string(reinterpret_cast<const char*>(value), value_size).c_str());
    }
    return 0;
  }

  static int OnClose(nghttp2_session*, int32_t stream, uint32_t, void* user) {
    LoadClient& client = Of(user);
    if (stream == client.stream_) {
      client.stream_ = -1;
      const auto on_end = std::exchange(client.on_end_, nullptr);
      if (on_end) {
        on_end(client.grpc_status_);
      }
    }
    return 0;
  }
};

absl::StatusOr<std::unique_ptr<LoadClient>> LoadClient::Connect(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return InvalidArgument("socket path {} is too long", socket_path);
  }
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, "connecting to " + socket_path);
  }
  std::unique_ptr<LoadClient> client(new LoadClient(std::move(fd)));
  RETURN_IF_ERROR(client->Start());
  return client;
}

LoadClient::LoadClient(UniqueFd fd) : fd_(std::move(fd)) {}

LoadClient::~LoadClient() { nghttp2_session_del(session_); }

absl::Status LoadClient::Start() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, LoadClientCallbacks::OnData);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, LoadClientCallbacks::OnHeader);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, LoadClientCallbacks::OnClose);
  const int made = nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) {
    return ResourceExhausted("making an HTTP/2 session: {}", nghttp2_strerror(made));
  }
  const std::array<nghttp2_settings_entry, 2> settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindowBytes}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindowBytes);
  return absl::OkStatus();
}

absl::Status LoadClient::Call(const std::string& method, const std::string& request,
                              OnMessage on_message, OnEnd on_end) {
  stays_open_ = false;
  on_message_ = std::move(on_message);
  on_end_ = std::move(on_end);
  return Submit(method, request);
}

absl::Status LoadClient::Open(const std::string& method, const std::string& request,
                              OnMessage on_message, OnEnd on_end) {
  stays_open_ = true;
  on_message_ = std::move(on_message);
  on_end_ = std::move(on_end);
  return Submit(method, request);
}

void LoadClient::Say(const std::string& request) {
  if (stream_ >= 0) {
    request_.erase(0, request_sent_);
    request_sent_ = 0;
    PutRequest(request);
    nghttp2_session_resume_data(session_, stream_);
  }
}

void LoadClient::PutRequest(const std::string& request) {
  request_ += '\0';
  for (size_t i = 0; i < 4; ++i) {
    request_ += static_cast<char>(request.size() >> (24 - 8 * i));
  }
  request_ += request;
}

absl::Status LoadClient::Submit(const std::string& method, const std::string& request) {
  request_.clear();
  PutRequest(request);
  request_sent_ = 0;
  prefix_.clear();
  message_left_ = 0;
  grpc_status_ = -1;
  const std::array<nghttp2_nv, 7> headers = {Header(":method", "POST"),
                                             Header(":scheme", "http"),
                                             Header(":path", method),
                                             Header(":authority", "localhost"),
                                             Header("te", "trailers"),
                                             Header("content-type", "application/grpc"),
                                             Header("workload.spiffe.io", "true")};
  nghttp2_data_provider body{};
  body.read_callback = LoadClientCallbacks::ReadRequest;
  stream_ =
      nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &body, nullptr);
  if (stream_ < 0) {
    return Unavailable("opening a call: {}", nghttp2_strerror(stream_));
  }
  return Flush() ? absl::OkStatus() : Unavailable("the connection closed while a call was opened");
}

void LoadClient::Cancel() {
  if (stream_ >= 0) {
    on_end_ = nullptr;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_, NGHTTP2_CANCEL);
    stream_ = -1;
    Flush();
  }
}

bool LoadClient::OnReady() {
  std::array<uint8_t, 65536> buffer;
  const ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return true;
  }
  if (got <= 0 || nghttp2_session_mem_recv(session_, buffer.data(), static_cast<size_t>(got)) < 0) {
    const auto on_end = std::exchange(on_end_, nullptr);
    if (on_end) {
      on_end(-1);
    }
    return false;
  }
  return Flush();
}

bool LoadClient::Flush() {
  for (;;) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) {
      return size == 0;
    }
    if (send(fd_.get(), data, static_cast<size_t>(size), MSG_NOSIGNAL) != size) {
      return false;
    }
  }
}

void LoadClient::Feed(const uint8_t* data, size_t size) {
  while (size > 0) {
    if (prefix_.size() < kPrefixBytes) {
      const size_t take = std::min(size, kPrefixBytes - prefix_.size());
      prefix_.append(reinterpret_cast<const char*>(data), take);
      data += take;
      size -= take;
      if (prefix_.size() == kPrefixBytes) {
        message_size_ = 0;
        for (size_t i = 1; i < kPrefixBytes; ++i) {
          message_size_ = message_size_ << 8 | static_cast<uint8_t>(prefix_[i]);
        }
        message_left_ = message_size_;
        message_.clear();
      }
    }
    const size_t take = std::min(size, message_left_);
    if (stays_open_) {
      message_.append(reinterpret_cast<const char*>(data), take);
    }
    data += take;
    size -= take;
    message_left_ -= take;
    if (prefix_.size() == kPrefixBytes && message_left_ == 0) {
      prefix_.clear();
      if (on_message_) {
        on_message_(message_size_);
      }
    }
  }
}

}  // namespace assay::bench
