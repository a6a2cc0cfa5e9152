// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/acceptor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"

namespace assay::rpc {
namespace {

// Open connections get their turn between bursts.
constexpr int kAcceptsPerRound = 32;
constexpr absl::Duration kPause = absl::Milliseconds(100);

// Errors of one connection that was lost before it was accepted (accept(2)).
bool IsOfOneConnection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPERM:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Create(EventLoop& loop, UniqueFd listener,
                                                           OnAccept on_accept) {
  int family = 0;
  socklen_t size = sizeof(family);
  if (getsockopt(listener.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) {
    return ErrnoStatus(errno, "asking for a listening socket's family");
  }
  const int flags = fcntl(listener.get(), F_GETFL);
  if (flags < 0 || fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "making a listening socket non-blocking");
  }
  std::unique_ptr<Acceptor> acceptor(
      new Acceptor(loop, std::move(listener), std::move(on_accept), family == AF_UNIX));
  acceptor->reserve_.Reset(fcntl(acceptor->listener_.get(), F_DUPFD_CLOEXEC, 0));
  RETURN_IF_ERROR(acceptor->Watch());
  return acceptor;
}

Acceptor::Acceptor(EventLoop& loop, UniqueFd listener, OnAccept on_accept, bool is_unix)
    : loop_(loop),
      listener_(std::move(listener)),
      on_accept_(std::move(on_accept)),
      is_unix_(is_unix) {}

Acceptor::~Acceptor() {
  loop_.Cancel(pause_timer_);
  loop_.Unwatch(listener_.get());
}

absl::Status Acceptor::Watch() {
  return loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { AcceptSome(); });
}

void Acceptor::AcceptSome() {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      on_accept_(std::move(socket), is_unix_);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    }
    if (!IsOfOneConnection(errno)) {
      OnExhausted(errno);
      return;
    }
  }
}

void Acceptor::OnExhausted(int error) {
  if (error == EMFILE && reserve_.valid()) {
    reserve_.Reset();
    UniqueFd turned_away(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    turned_away.Reset();
    reserve_.Reset(fcntl(listener_.get(), F_DUPFD_CLOEXEC, 0));
  }
  log::Warn("cannot accept a connection; pausing", {{"error", ErrnoStatus(error, "accepting")}});
  Pause();
}

void Acceptor::Pause() {
  loop_.Unwatch(listener_.get());
  pause_timer_ = loop_.After(kPause, [this] {
    pause_timer_ = 0;
    if (const absl::Status status = Watch(); !status.ok()) {
      log::Error("cannot watch a listening socket", {{"error", status}});
      Pause();
    }
  });
}

}  // namespace assay::rpc
