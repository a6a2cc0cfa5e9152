// SPDX-License-Identifier: GPL-3.0-or-later
// A small HTTP/2 and gRPC client for tests, which shows every byte a server answers: headers,
// messages, trailers, resets and GOAWAY. It runs in the test's own thread: while it waits it calls
// the pump it was given, which runs the server's loop for a round.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace assay {

// A stream to the Unix socket at path; invalid when nobody listens.
inline UniqueFd ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fd.Reset();
  }
  return fd;
}

class Http2Client final {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  struct Stream {
    std::map<std::string, std::string> headers, trailers;
    std::string data;
    bool closed = false;
    uint32_t error = 0;  // Of RST_STREAM, or of the loss.

    // What gRPC makes of it; -1 when there is no grpc-status.
    int status() const {
      const std::string code = Field("grpc-status");
      return code.empty() ? -1 : std::stoi(code);
    }
    // grpc-message as it is on the wire.
    std::string message() const { return Field("grpc-message"); }
    std::string Field(const std::string& name) const {
      for (const auto* fields : {&trailers, &headers}) {
        if (const auto found = fields->find(name); found != fields->end()) {
          return found->second;
        }
      }
      return "";
    }
    // The whole messages so far, without their prefixes.
    std::vector<std::string> messages() const {
      std::vector<std::string> found;
      size_t at = 0;
      while (data.size() - at >= 5) {
        size_t size = 0;
        for (size_t i = 1; i < 5; ++i) {
          size = size << 8 | static_cast<unsigned char>(data[at + i]);
        }
        if (data.size() - at - 5 < size) {
          break;
        }
        found.push_back(data.substr(at + 5, size));
        at += 5 + size;
      }
      return found;
    }
  };

  using Pump = std::function<void()>;

  explicit Http2Client(UniqueFd fd, Pump pump = {}, Fields settings = {})
      : fd_(std::move(fd)), pump_(std::move(pump)) {
    fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    SetCallbacks(callbacks);
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    // The test decides how much is too much.
    nghttp2_option_set_peer_max_concurrent_streams(option, 1 << 20);
    nghttp2_session_client_new2(&session_, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    std::vector<nghttp2_settings_entry> entries;
    for (const auto& [name, value] : settings) {
      entries.push_back({std::stoi(name), static_cast<uint32_t>(std::stoul(value))});
    }
    nghttp2_submit_settings(session_, 0, entries.data(), entries.size());
  }
  ~Http2Client() { nghttp2_session_del(session_); }
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  // A message as gRPC frames it.
  static std::string Framed(std::string_view message) {
    std::string framed(1, '\0');
    for (int shift = 24; shift >= 0; shift -= 8) {
      framed += static_cast<char>(message.size() >> shift);
    }
    return framed.append(message);
  }

  static Fields GrpcHeaders(const std::string& path, const Fields& more = {}) {
    Fields fields = {{":method", "POST"}, {":scheme", "http"},
                     {":path", path},     {":authority", "localhost"},
                     {"te", "trailers"},  {"content-type", "application/grpc"}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  }

  // Opens a stream with these headers; end: without a body.
  int32_t Open(const Fields& fields, bool end = false) {
    std::vector<nghttp2_nv> entries;
    for (const auto& [name, value] : fields) {
      entries.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                         reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                         value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    nghttp2_data_provider provider{};
    provider.read_callback = ReadBody;
    const int32_t id = nghttp2_submit_request(session_, nullptr, entries.data(), entries.size(),
                                              end ? nullptr : &provider, nullptr);
    streams_[id];
    return id;
  }
  // Sends bytes of the body, and ends it.
  void Send(int32_t id, std::string_view bytes, bool end = false) {
    Body& body = bodies_[id];
    body.bytes.append(bytes);
    body.end = end;
    nghttp2_session_resume_data(session_, id);
    Step();
  }
  void Reset(int32_t id, uint32_t error = NGHTTP2_CANCEL) {
    nghttp2_submit_rst_stream(session_, 0, id, error);
    Step();
  }

  // A unary call, or any with one request message: waits until it is over.
  Stream& Call(const std::string& path, std::string_view message, const Fields& more = {}) {
    const int32_t id = Start(path, message, more);
    return WaitClosed(id);
  }
  // The same without waiting.
  int32_t Start(const std::string& path, std::string_view message, const Fields& more = {}) {
    const int32_t id = Open(GrpcHeaders(path, more));
    Send(id, Framed(message), true);
    return id;
  }

  Stream& WaitClosed(int32_t id) {
    WaitFor([&] { return streams_[id].closed; });
    return streams_[id];
  }
  Stream& WaitMessages(int32_t id, size_t count) {
    WaitFor([&] { return streams_[id].messages().size() >= count || streams_[id].closed; });
    return streams_[id];
  }
  // Until the server has closed the connection.
  bool WaitLost() {
    return WaitFor([&] { return lost_; });
  }
  // False, and a failure of the test, when it does not come true in time.
  bool WaitFor(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "waited 20 s in vain";
        return false;
      }
      if (!Step() && lost_) {
        return condition();
      }
    }
    return true;
  }

  // Writes, runs the pump, and reads what is there; whether anything came.
  bool Step() {
    Write();
    if (pump_) {
      pump_();
    } else {
      pollfd poll_fd{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      poll(&poll_fd, 1, 20);
    }
    return reading ? Read() : false;
  }

  Stream& stream(int32_t id) { return streams_[id]; }
  nghttp2_session* session() { return session_; }
  int fd() const { return fd_.get(); }
  bool lost() const { return lost_; }
  // The error code of GOAWAY, when one came.
  std::optional<uint32_t> goaway() const { return goaway_; }
  std::optional<uint32_t> SettingOfServer(int32_t id) const {
    const auto found = server_settings_.find(id);
    return found == server_settings_.end() ? std::nullopt : std::optional(found->second);
  }
  // Off: a caller that does not read.
  bool reading = true;

 private:
  struct Body {
    std::string bytes;
    size_t sent = 0;
    bool end = false;
  };

  void Write() {
    while (!lost_) {
      if (out_.empty()) {
        const uint8_t* bytes = nullptr;
        const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
        if (size <= 0) {
          return;
        }
        out_.assign(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
      }
      const ssize_t sent = send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return;
      }
      out_.erase(0, static_cast<size_t>(sent));
    }
  }

  bool Read() {
    char buffer[64 << 10];
    const ssize_t size = recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return false;
    }
    if (size <= 0 || nghttp2_session_mem_recv(session_, reinterpret_cast<uint8_t*>(buffer),
                                              static_cast<size_t>(size)) < 0) {
      lost_ = true;
      for (auto& [id, stream] : streams_) {
        stream.closed = true;
      }
      return false;
    }
    return true;
  }

  static Http2Client& Self(void* user_data) { return *static_cast<Http2Client*>(user_data); }

  static ssize_t ReadBody(nghttp2_session*, int32_t id, uint8_t* out, size_t limit, uint32_t* flags,
                          nghttp2_data_source*, void* user_data) {
    Body& body = Self(user_data).bodies_[id];
    const size_t size = body.bytes.copy(reinterpret_cast<char*>(out), limit, body.sent);
    body.sent += size;
    if (body.sent == body.bytes.size() && body.end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (size == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(size);
  }

  static void SetCallbacks(nghttp2_session_callbacks* callbacks) {
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
           const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
          Stream& stream = Self(user_data).streams_[frame->hd.stream_id];
          auto& fields =
              frame->headers.cat == NGHTTP2_HCAT_RESPONSE ? stream.headers : stream.trailers;
          fields[{reinterpret_cast<const char*>(name), name_size}] =
              std::string(reinterpret_cast<const char*>(value), value_size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                      void* user_data) {
          Self(user_data).streams_[id].data.append(reinterpret_cast<const char*>(bytes), size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t id, uint32_t error, void* user_data) {
          Self(user_data).streams_[id].closed = true;
          Self(user_data).streams_[id].error = error;
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
          Self(user_data).OnFrame(*frame);
          return 0;
        });
  }

  void OnFrame(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_GOAWAY) {
      goaway_ = frame.goaway.error_code;
    } else if (frame.hd.type == NGHTTP2_SETTINGS) {
      for (size_t i = 0; i < frame.settings.niv; ++i) {
        server_settings_[frame.settings.iv[i].settings_id] = frame.settings.iv[i].value;
      }
    }
  }

  UniqueFd fd_;
  const Pump pump_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, Stream> streams_;
  std::map<int32_t, Body> bodies_;
  std::map<int32_t, uint32_t> server_settings_;
  std::optional<uint32_t> goaway_;
  std::string out_;
  bool lost_ = false;
};

}  // namespace assay
