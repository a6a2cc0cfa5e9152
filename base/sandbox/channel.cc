// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/sandbox/channel.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/secret.h"

namespace assay {
namespace {

// So that one busy peer does not keep the loop from the others.
constexpr int kMessagesPerRound = 64;

// The descriptor in a message's control data; false when there is more than one. One that did not
// come although it was sent is no breach: this process is out of descriptors.
bool TakeDescriptor(msghdr& message, UniqueFd& fd) {
  bool one_at_most = true;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
      UniqueFd owned(received);
      one_at_most = one_at_most && !fd.valid();
      if (!fd.valid()) {
        fd = std::move(owned);
      }
    }
  }
  return one_at_most;
}

}  // namespace

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> Channel::MakePair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return ErrnoStatus(errno, "making a role channel");
  }
  // A message of the cap must fit; the kernel doubles what is asked. Where the limit is lower than
  // that, the default of 208 KiB still holds one.
  const int bytes = 2 * static_cast<int>(kMaxMessageBytes);
  for (int fd : fds) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
  }
  return std::make_pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

absl::StatusOr<std::unique_ptr<Channel>> Channel::Create(EventLoop& loop, UniqueFd fd,
                                                         OnMessage on_message, OnClosed on_closed) {
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "preparing a role channel");
  }
  std::unique_ptr<Channel> channel(
      new Channel(loop, std::move(fd), std::move(on_message), std::move(on_closed)));
  Channel* raw = channel.get();
  RETURN_IF_ERROR(loop.Watch(raw->fd_.get(), EPOLLIN, [raw](uint32_t e) { raw->OnReady(e); }));
  return channel;
}

Channel::Channel(EventLoop& loop, UniqueFd fd, OnMessage on_message, OnClosed on_closed)
    : loop_(loop),
      fd_(std::move(fd)),
      on_message_(std::move(on_message)),
      on_closed_(std::move(on_closed)),
      // Not zeroed: most of it is never touched, and so costs nothing.
      buffer_(std::make_unique_for_overwrite<char[]>(kMaxMessageBytes)) {}

Channel::~Channel() {
  *alive_ = false;
  if (fd_.valid()) {
    loop_.Unwatch(fd_.get());
  }
}

absl::Status Channel::Send(const google::protobuf::MessageLite& message, int fd) {
  const size_t size = message.ByteSizeLong();
  if (size > kMaxMessageBytes) {
    return Internal("a role message of {} bytes, {} are allowed", size, kMaxMessageBytes);
  }
  if (!fd_.valid()) {
    return absl::OkStatus();
  }
  std::string bytes = message.SerializeAsString();
  if (queue_.empty() && Write(bytes, fd)) {
    Wipe(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  UniqueFd duplicate(fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (fd >= 0 && !duplicate.valid()) {
    return ErrnoStatus(errno, "keeping a descriptor for a role");
  }
  queued_bytes_ += bytes.size();
  queue_.push_back({std::move(bytes), std::move(duplicate)});
  return loop_.Modify(fd_.get(), EPOLLIN | EPOLLOUT);
}

void Channel::OnReady(uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !Flush()) {
    return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    (void)Read();
  }
}

void Channel::ReadAll() {
  const std::shared_ptr<bool> alive = alive_;
  while (*alive && fd_.valid() && Read()) {
  }
}

bool Channel::Read() {
  const std::shared_ptr<bool> alive = alive_;
  for (int i = 0; i < kMessagesPerRound && *alive && fd_.valid(); ++i) {
    iovec vec{buffer_.get(), kMaxMessageBytes};
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
    msghdr message{};
    message.msg_iov = &vec;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return false;
    }
    if (got <= 0) {
      Close(got == 0 ? Unavailable("the other role closed its channel")
                     : ErrnoStatus(errno, "reading a role channel"));
      return false;
    }
    UniqueFd fd;
    if (!TakeDescriptor(message, fd) || (message.msg_flags & MSG_TRUNC) != 0) {
      Close(InvalidArgument("the other role sent more than a message may hold"));
      return false;
    }
    on_message_({buffer_.get(), static_cast<size_t>(got)}, std::move(fd));
    if (*alive) {
      Wipe(buffer_.get(), static_cast<size_t>(got));
    }
  }
  return true;
}

bool Channel::Flush() {
  while (!queue_.empty()) {
    Packet& packet = queue_.front();
    if (!Write(packet.bytes, packet.fd.get())) {
      return true;
    }
    queued_bytes_ -= packet.bytes.size();
    Wipe(packet.bytes.data(), packet.bytes.size());
    queue_.pop_front();
  }
  return loop_.Modify(fd_.get(), EPOLLIN).ok();
}

bool Channel::Write(std::string_view bytes, int fd) {
  iovec vec{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vec;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
  }
  // Anything but success is left queued: a full buffer empties, and a dead end is told by Read().
  return sendmsg(fd_.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

void Channel::Close(const absl::Status& why) {
  if (!fd_.valid()) {
    return;
  }
  loop_.Unwatch(fd_.get());
  fd_.Reset();
  queue_.clear();
  queued_bytes_ = 0;
  const OnClosed on_closed = on_closed_;
  on_closed(why);
}

}  // namespace assay
