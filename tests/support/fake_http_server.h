// SPDX-License-Identifier: GPL-3.0-or-later
// An HTTP server of a test's own on a Unix socket: it answers each connection's one request with
// the same bytes, and keeps the first lines of what it was asked.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"

namespace assay {

class FakeHttpServer final {
 public:
  // The answer is sent as it is; an empty one is never sent, and the connection stays open.
  FakeHttpServer(const std::string& path, std::string answer)
      : answer_(std::move(answer)), listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener_.get(), 8) != 0) {
      std::abort();
    }
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeHttpServer() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  // As it is from now on.
  void Answer(std::string answer) {
    MutexLock lock(mutex_);
    answer_ = std::move(answer);
  }
  // "GET /path HTTP/1.1", in order.
  std::vector<std::string> requests() const {
    MutexLock lock(mutex_);
    return requests_;
  }

 private:
  void Serve() {
    std::vector<UniqueFd> silent;
    while (true) {
      UniqueFd caller(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!caller.valid()) {
        return;
      }
      std::string request;
      char buffer[1024];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = recv(caller.get(), buffer, sizeof(buffer), 0);
        if (count <= 0) {
          break;
        }
        request.append(buffer, static_cast<size_t>(count));
      }
      std::string answer;
      {
        MutexLock lock(mutex_);
        requests_.push_back(request.substr(0, request.find("\r\n")));
        answer = answer_;
      }
      if (answer.empty()) {
        silent.push_back(std::move(caller));
        continue;
      }
      for (size_t sent = 0; sent < answer.size();) {
        const ssize_t count =
            send(caller.get(), answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) {
          break;
        }
        sent += static_cast<size_t>(count);
      }
    }
  }

  mutable Mutex mutex_;
  std::string answer_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  const UniqueFd listener_;
  std::thread thread_;
};

}  // namespace assay
