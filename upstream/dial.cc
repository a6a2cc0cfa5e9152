// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/dial.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "base/clock.h"

namespace assay {
namespace {

constexpr int kKeepaliveIdleSeconds = 30;
constexpr int kKeepaliveIntervalSeconds = 15;
constexpr int kKeepaliveProbes = 4;
constexpr int kUnackedMilliseconds = 90'000;
// What a name may have; more is no resolver that means well.
constexpr size_t kMaxAddresses = 64;

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};

void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

void WatchForLostPeer(int fd) {
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnackedMilliseconds);
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

absl::Status Lost(int error) { return Unavailable("{}", Message(ErrnoStatus(error, "connect"))); }

// The first family's addresses and the other's by turns.
std::vector<SocketAddress> ByTurns(const std::vector<SocketAddress>& sorted) {
  std::vector<SocketAddress> first, second, mixed;
  for (const SocketAddress& address : sorted) {
    const bool is_first = address.bytes.ss_family == sorted.front().bytes.ss_family;
    (is_first ? first : second).push_back(address);
  }
  for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) {
      mixed.push_back(first[i]);
    }
    if (i < second.size()) {
      mixed.push_back(second[i]);
    }
  }
  return mixed;
}

// The attempts under way to several addresses.
class Race final {
 public:
  Race(const std::vector<SocketAddress>& addresses, const DialOptions& options)
      : addresses_(addresses), options_(options), ends_(clock_.SinceBoot() + options.within) {}

  absl::StatusOr<Dialed> Run() {
    while (next_ < addresses_.size() || !attempts_.empty()) {
      const absl::Duration now = clock_.SinceBoot();
      if (next_ < addresses_.size() && now >= ends_) {
        next_ = addresses_.size();
        continue;
      }
      if (next_ < addresses_.size() && (attempts_.empty() || next_at_ <= now)) {
        Begin(now);
        continue;
      }
      Wait(now);
      if (auto won = Winner(); won.has_value()) {
        WatchForLostPeer(won->socket.get());
        return *std::move(won);
      }
    }
    return last_failure_;
  }

 private:
  struct Attempt {
    UniqueFd socket;
    size_t index;
    absl::Duration ends;
    bool ready = false;
  };

  void Begin(absl::Duration now) {
    const SocketAddress& address = addresses_[next_];
    UniqueFd fd(
        socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!fd.valid() ||
        (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.size) != 0 &&
         errno != EINPROGRESS)) {
      last_failure_ = Lost(errno);
      next_at_ = now;
    } else {
      attempts_.push_back({std::move(fd), next_, std::min(now + options_.timeout, ends_)});
      next_at_ = now + options_.stagger;
    }
    ++next_;
  }

  // Until some attempt has come to something, or the next is to begin.
  void Wait(absl::Duration now) {
    absl::Duration until = next_ < addresses_.size() ? next_at_ : absl::InfiniteDuration();
    std::vector<pollfd> polled;
    for (const Attempt& attempt : attempts_) {
      until = std::min(until, attempt.ends);
      polled.push_back({.fd = attempt.socket.get(), .events = POLLOUT, .revents = 0});
    }
    const int64_t wait = std::max<int64_t>(absl::ToInt64Milliseconds(until - now) + 1, 0);
    if (poll(polled.data(), polled.size(), static_cast<int>(wait)) > 0) {
      for (size_t i = 0; i < polled.size(); ++i) {
        attempts_[i].ready = polled[i].revents != 0;
      }
    }
  }

  // The one that is connected; those that failed are given up.
  std::optional<Dialed> Winner() {
    const absl::Duration now = clock_.SinceBoot();
    for (Attempt& attempt : attempts_) {
      if (!attempt.ready) {
        if (attempt.ends <= now) {
          GiveUp(attempt, ETIMEDOUT);
        }
        continue;
      }
      int error = 0;
      socklen_t size = sizeof(error);
      if (getsockopt(attempt.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
      }
      if (error == 0) {
        return Dialed{std::move(attempt.socket), attempt.index};
      }
      GiveUp(attempt, error);
    }
    std::erase_if(attempts_, [](const Attempt& attempt) { return !attempt.socket.valid(); });
    return std::nullopt;
  }

  void GiveUp(Attempt& attempt, int error) {
    last_failure_ = Lost(error);
    attempt.socket.Reset();
    next_at_ = absl::ZeroDuration();
  }

  const std::vector<SocketAddress>& addresses_;
  const DialOptions& options_;
  const SystemClock clock_;
  const absl::Duration ends_;
  size_t next_ = 0;
  absl::Duration next_at_;
  std::vector<Attempt> attempts_;
  absl::Status last_failure_ = Unavailable("no address to connect to");
};

}  // namespace

std::string SocketAddress::ToString() const {
  char host[INET6_ADDRSTRLEN] = "";
  if (bytes.ss_family == AF_INET6) {
    sockaddr_in6 six;
    std::memcpy(&six, &bytes, sizeof(six));
    inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof(host));
    return fmt::format("[{}]:{}", host, ntohs(six.sin6_port));
  }
  sockaddr_in four;
  std::memcpy(&four, &bytes, sizeof(four));
  inet_ntop(AF_INET, &four.sin_addr, host, sizeof(host));
  return fmt::format("{}:{}", host, ntohs(four.sin_port));
}

absl::StatusOr<std::vector<SocketAddress>> ResolveHost(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return Unavailable("resolving {}: {}", Quoted(host), gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> owner(found);
  std::vector<SocketAddress> sorted;
  for (; found != nullptr && sorted.size() < kMaxAddresses; found = found->ai_next) {
    SocketAddress address;
    if (found->ai_addrlen <= sizeof(address.bytes)) {
      std::memcpy(&address.bytes, found->ai_addr, found->ai_addrlen);
      address.size = found->ai_addrlen;
      sorted.push_back(address);
    }
  }
  if (sorted.empty()) {
    return Unavailable("resolving {}: no address", Quoted(host));
  }
  return ByTurns(sorted);
}

absl::StatusOr<Dialed> DialTcp(const std::vector<SocketAddress>& addresses,
                               const DialOptions& options) {
  return Race(addresses, options).Run();
}

}  // namespace assay
