// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/tunnel.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace assay {
namespace {

constexpr size_t kReadBytes = 64 << 10;
// With this much waiting for one side, the other is not read.
constexpr size_t kMaxWaitingBytes = 256 << 10;

// Bytes read into buffer, 0 at the end, -1 when there is nothing now; or the error.
absl::StatusOr<ssize_t> ReadSome(int fd, char* buffer, size_t size) {
  const ssize_t count = recv(fd, buffer, size, 0);
  if (count >= 0) {
    return count;
  }
  if (errno == EAGAIN || errno == EINTR) {
    return -1;
  }
  return Unavailable("{}", Message(ErrnoStatus(errno, "read")));
}

}  // namespace

Tunnel::Tunnel(EventLoop& loop, UniqueFd network, UniqueFd local,
               std::unique_ptr<crypto::TlsConnection> tls)
    : loop_(loop), network_(std::move(network)), local_(std::move(local)), tls_(std::move(tls)) {}

std::shared_ptr<Tunnel> Tunnel::Start(EventLoop& loop, UniqueFd network, UniqueFd local,
                                      std::unique_ptr<crypto::TlsConnection> tls) {
  std::shared_ptr<Tunnel> tunnel(
      new Tunnel(loop, std::move(network), std::move(local), std::move(tls)));
  loop.Post([tunnel] { tunnel->Begin(); });
  return tunnel;
}

absl::Status Tunnel::failure() const {
  MutexLock lock(mutex_);
  return failure_;
}

void Tunnel::Close() {
  loop_.Post([self = shared_from_this()] { self->End(absl::OkStatus()); });
}

void Tunnel::Begin() {
  const auto self = shared_from_this();
  absl::Status watched =
      loop_.Watch(network_.get(), EPOLLIN, [self](uint32_t events) { self->OnNetwork(events); });
  if (watched.ok()) {
    watched =
        loop_.Watch(local_.get(), EPOLLIN, [self](uint32_t events) { self->OnLocal(events); });
  }
  if (!watched.ok()) {
    return End(watched);
  }
  if (TakeDecrypted()) {
    Pump();
  }
}

void Tunnel::OnNetwork(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || ReadNetwork()) {
    Pump();
  }
}

void Tunnel::OnLocal(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || ReadLocal()) {
    Pump();
  }
}

// Whether the tunnel goes on.
bool Tunnel::ReadNetwork() {
  char buffer[kReadBytes];
  const auto count = ReadSome(network_.get(), buffer, sizeof(buffer));
  if (!count.ok()) {
    End(count.status());
    return false;
  }
  if (*count == 0) {
    End(absl::OkStatus());
    return false;
  }
  if (*count > 0) {
    if (absl::Status bad = tls_->Feed({buffer, static_cast<size_t>(*count)}); !bad.ok()) {
      End(bad);
      return false;
    }
  }
  return TakeDecrypted();
}

// Whether the tunnel goes on.
bool Tunnel::TakeDecrypted() {
  std::string plaintext = tls_->TakePlaintext();
  // Before the library learns of it and fails calls.
  goaway_watch_.Feed(plaintext);
  told_to_go_ = goaway_watch_.seen();
  to_local_.Append(std::move(plaintext));
  if (tls_->peer_closed()) {
    static_cast<void>(Flush(local_, to_local_));
    End(absl::OkStatus());
    return false;
  }
  return true;
}

bool Tunnel::ReadLocal() {
  char buffer[kReadBytes];
  const auto count = ReadSome(local_.get(), buffer, sizeof(buffer));
  if (!count.ok() || *count == 0) {
    End(count.status());
    return false;
  }
  if (*count > 0) {
    if (absl::Status bad = tls_->Write({buffer, static_cast<size_t>(*count)}); !bad.ok()) {
      End(bad);
      return false;
    }
  }
  return true;
}

void Tunnel::Pump() {
  to_network_.Append(tls_->TakeOutput());
  if (absl::Status bad = Flush(network_, to_network_); !bad.ok()) {
    // What the upstream said before it closed tells more than that it did.
    if (ReadNetwork()) {
      End(bad);
    }
    return;
  }
  if (absl::Status bad = Flush(local_, to_local_); !bad.ok()) {
    return End(bad);
  }
  const auto events = [](const Outlet& out, const Outlet& opposite) {
    uint32_t wanted = out.size() > 0 ? EPOLLOUT : 0u;
    if (opposite.size() < kMaxWaitingBytes) {
      wanted |= EPOLLIN;
    }
    return wanted;
  };
  absl::Status changed = loop_.Modify(network_.get(), events(to_network_, to_local_));
  if (changed.ok()) {
    changed = loop_.Modify(local_.get(), events(to_local_, to_network_));
  }
  if (!changed.ok()) {
    End(changed);
  }
}

void Tunnel::Outlet::Append(std::string more) {
  if (size() == 0) {
    bytes = std::move(more);
  } else {
    bytes.erase(0, sent);
    bytes += more;
  }
  sent = 0;
}

absl::Status Tunnel::Flush(const UniqueFd& to, Outlet& outlet) {
  while (outlet.size() > 0) {
    const ssize_t count =
        send(to.get(), outlet.bytes.data() + outlet.sent, outlet.size(), MSG_NOSIGNAL);
    if (count < 0) {
      return errno == EAGAIN || errno == EINTR
                 ? absl::OkStatus()
                 : Unavailable("{}", Message(ErrnoStatus(errno, "write")));
    }
    outlet.sent += static_cast<size_t>(count);
  }
  outlet = {};
  return absl::OkStatus();
}

// The state changes before the socketpair closes: whoever sees that can ask why.
void Tunnel::End(const absl::Status& why) {
  if (!network_.valid()) {
    return;
  }
  const auto self = shared_from_this();
  if (tls_ != nullptr) {
    if (why.ok()) {
      tls_->Close();
    }
    to_network_.Append(tls_->TakeOutput());
    static_cast<void>(Flush(network_, to_network_));
  }
  {
    const MutexLock lock(mutex_);
    failure_ = why;
  }
  alive_ = false;
  loop_.Unwatch(network_.get());
  loop_.Unwatch(local_.get());
  network_.Reset();
  local_.Reset();
  tls_.reset();
}

TunnelThread::TunnelThread(std::unique_ptr<EventLoop> loop)
    : loop_(std::move(loop)), thread_([this] { loop_->Run(); }) {}

absl::StatusOr<std::unique_ptr<TunnelThread>> TunnelThread::Create(const Clock& clock) {
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create(clock));
  return std::unique_ptr<TunnelThread>(new TunnelThread(std::move(loop)));
}

TunnelThread::~TunnelThread() {
  loop_->Stop();
  thread_.join();
}

}  // namespace assay
