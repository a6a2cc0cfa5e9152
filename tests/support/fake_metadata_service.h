// SPDX-License-Identifier: GPL-3.0-or-later
// A cloud's instance metadata service of a test's own, on a TCP port of this machine: it gives the
// texts that the test sets, to requests that have the header the test wants.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

class FakeMetadataService final {
 public:
  FakeMetadataService() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_.get(), any, size) != 0 || listen(listener_.get(), 8) != 0 ||
        getsockname(listener_.get(), any, &size) != 0) {
      std::abort();
    }
    host_ = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeMetadataService() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  const std::string& host() const { return host_; }  // "127.0.0.1:4711"
  std::string url() const { return "http://" + host_; }

  // What "GET /path?query" gets, if the request has the line of a header; 404 for the rest, 400
  // without the header.
  void Set(const std::string& request, const std::string& header, const std::string& body,
           int status = 200) {
    MutexLock lock(mutex_);
    answers_[request] = {header, body, status};
  }
  // "GET /path?query", in order.
  std::vector<std::string> requests() const {
    MutexLock lock(mutex_);
    return requests_;
  }

 private:
  struct Answer {
    std::string header, body;
    int status;
  };

  std::string AnswerTo(const std::string& request) {
    MutexLock lock(mutex_);
    const std::string line = request.substr(0, request.find(" HTTP/"));
    requests_.push_back(line);
    const auto found = answers_.find(line);
    Answer answer = found == answers_.end() ? Answer{"", "", 404} : found->second;
    if (request.find("\r\n" + answer.header + "\r\n") == std::string::npos &&
        !answer.header.empty()) {
      answer = {"", "no header", 400};
    }
    return fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                       answer.status, answer.body.size(), answer.body);
  }

  void Serve() {
    while (true) {
      const UniqueFd caller(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!caller.valid()) {
        return;
      }
      std::string request;
      char buffer[2048];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = recv(caller.get(), buffer, sizeof(buffer), 0);
        if (count <= 0) {
          break;
        }
        request.append(buffer, static_cast<size_t>(count));
      }
      const std::string answer = AnswerTo(request);
      (void)send(caller.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }

  mutable Mutex mutex_;
  std::map<std::string, Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  const UniqueFd listener_;
  std::string host_;
  std::thread thread_;
};

}  // namespace assay
