// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/challenge_server.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace assay {
namespace {

constexpr size_t kMaxRequestBytes = 8 << 10;
constexpr absl::Duration kPatience = absl::Seconds(1);
constexpr absl::Duration kPause = absl::Milliseconds(100);
constexpr int kBacklog = 128;
constexpr std::string_view kNotFound =
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

// Of both families where the machine has IPv6.
absl::StatusOr<UniqueFd> Open(uint16_t port) {
  constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const int on = 1, off = 0;
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  UniqueFd listener(socket(AF_INET6, kType, 0));
  const bool has_six = listener.valid() && setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY,
                                                      &off, sizeof(off)) == 0;
  if (!has_six) {
    listener.Reset(socket(AF_INET, kType, 0));
  }
  const auto* address =
      has_six ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  const socklen_t size = has_six ? sizeof(six) : sizeof(four);
  if (!listener.valid() ||
      setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(listener.get(), address, size) != 0 || listen(listener.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, fmt::format("listening on port {}", port));
  }
  return listener;
}

// As a caller has it.
std::string AddressOf(const sockaddr_in6& peer) {
  const auto* bytes = reinterpret_cast<const char*>(peer.sin6_addr.s6_addr);
  if (peer.sin6_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr)) {
    return IN6_IS_ADDR_LOOPBACK(&peer.sin6_addr) ? "" : std::string(bytes, 8);
  }
  const std::string four(
      peer.sin6_family == AF_INET6
          ? bytes + 12
          : reinterpret_cast<const char*>(&reinterpret_cast<const sockaddr_in&>(peer).sin_addr),
      4);
  return four.front() == 127 ? "" : four;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChallengeServer>> ChallengeServer::Listen(uint16_t port) {
  ASSIGN_OR_RETURN(UniqueFd listener, Open(port));
  sockaddr_in6 address{};  // The port is at the same place in both families.
  socklen_t size = sizeof(address);
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return ErrnoStatus(errno, "getsockname");
  }
  return std::unique_ptr<ChallengeServer>(
      new ChallengeServer(std::move(listener), ntohs(address.sin6_port)));
}

ChallengeServer::~ChallengeServer() {
  if (thread_.joinable()) {
    loop_->Stop();
    thread_.join();
  }
}

absl::Status ChallengeServer::Serve(std::string_view path, std::string_view text) {
  request_line_ = fmt::format("GET {} HTTP/1.", path);
  answer_ = fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      text.size(), text);
  ASSIGN_OR_RETURN(loop_, EventLoop::Create(clock_));
  RETURN_IF_ERROR(loop_->Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); }));
  thread_ = std::thread([this] { loop_->Run(); });
  return absl::OkStatus();
}

void ChallengeServer::Accept() {
  sockaddr_in6 peer{};
  socklen_t size = sizeof(peer);
  UniqueFd connection(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                              SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.valid()) {
    const bool is_exhausted =
        errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    if (is_exhausted) {
      callers_.empty() ? Pause() : EndOldest();
    }
    return;
  }
  std::string address = AddressOf(peer);
  MakeRoomFor(address);
  const uint64_t number = next_number_++;
  const int fd = connection.get();
  if (!loop_->Watch(fd, EPOLLIN, [this, number](uint32_t) { Read(number); }).ok()) {
    return;
  }
  callers_[number] = {.connection = std::move(connection),
                      .address = std::move(address),
                      .request = {},
                      .deadline = loop_->After(kPatience, [this, number] { End(number); })};
  // What has come already needs no room.
  Read(number);
}

void ChallengeServer::MakeRoomFor(const std::string& address) {
  const auto of_loopback = std::count_if(callers_.begin(), callers_.end(), [](const auto& caller) {
    return caller.second.address.empty();
  });
  if (address.empty() && static_cast<size_t>(of_loopback) >= kMaxLoopbackCallers) {
    EndOldestOf(address);
  } else if (callers_.size() >= kMaxCallers) {
    EndOldest();
  }
}

void ChallengeServer::EndOldestOf(const std::string& address) {
  const auto oldest = std::find_if(callers_.begin(), callers_.end(), [&](const auto& caller) {
    return caller.second.address == address;
  });
  End(oldest->first);
}

void ChallengeServer::EndOldest() {
  std::map<std::string, size_t> counts;
  for (const auto& [number, caller] : callers_) {
    ++counts[caller.address];
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto oldest = std::find_if(callers_.begin(), callers_.end(), [&](const auto& caller) {
    return counts[caller.second.address] == most->second;
  });
  End(oldest->first);
}

// The listener would be ready all the time while there is no descriptor for who waits there.
void ChallengeServer::Pause() {
  loop_->Unwatch(listener_.get());
  loop_->After(kPause, [this] {
    if (!loop_->Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); }).ok()) {
      Pause();
    }
  });
}

void ChallengeServer::Read(uint64_t number) {
  Caller& caller = callers_.at(number);
  const int fd = caller.connection.get();
  char buffer[2048];
  const ssize_t size = recv(fd, buffer, sizeof(buffer), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (size > 0) {
    caller.request.append(buffer, static_cast<size_t>(size));
    if (caller.request.find("\r\n\r\n") == std::string::npos &&
        caller.request.size() < kMaxRequestBytes) {
      return;
    }
    const bool is_asked_for = caller.request.starts_with(request_line_);
    const std::string_view answer = is_asked_for ? std::string_view(answer_) : kNotFound;
    // Smaller than any socket's buffer: it goes at once or not at all.
    (void)send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
  }
  End(number);
}

void ChallengeServer::End(uint64_t number) {
  const auto found = callers_.find(number);
  if (found == callers_.end()) {
    return;
  }
  loop_->Cancel(found->second.deadline);
  loop_->Unwatch(found->second.connection.get());
  callers_.erase(found);
}

}  // namespace assay
