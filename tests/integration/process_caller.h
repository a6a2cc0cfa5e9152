// SPDX-License-Identifier: GPL-3.0-or-later
// A process of its own that connects to a socket and hands the connection to the test, as a thief's
// helper would; then it waits to be told to execute another program, or to die.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "base/unique_fd.h"
#include "tests/support/http2_client.h"

namespace assay {

class ProcessCaller final {
 public:
  // With uid not 0 the process becomes that user before it connects.
  explicit ProcessCaller(const std::string& socket_path, uid_t uid = 0) {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_ = fork();
    if (pid_ == 0) {
      Run(pair[1], socket_path, uid);
    }
    close(pair[1]);
    control_.Reset(pair[0]);
    connection_.Reset(Receive());
    EXPECT_TRUE(connection_.valid());
  }
  ~ProcessCaller() { Kill(); }
  ProcessCaller(const ProcessCaller&) = delete;
  ProcessCaller& operator=(const ProcessCaller&) = delete;

  pid_t pid() const { return pid_; }
  // The connection, which is the caller's from here on.
  UniqueFd TakeConnection() { return std::move(connection_); }
  // Becomes another program, under the same pid.
  void Exec() const {
    const std::string exe = "/proc/" + std::to_string(pid_) + "/exe";
    ASSERT_EQ(write(control_.get(), "x", 1), 1);
    const auto before = std::filesystem::read_symlink("/proc/self/exe");
    while (std::filesystem::read_symlink(exe) == before) {
      poll(nullptr, 0, 1);
    }
  }
  void Kill() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }

 private:
  [[noreturn]] static void Run(int control, const std::string& socket_path, uid_t uid) {
    if (uid != 0 && (setgid(uid) != 0 || setuid(uid) != 0)) {
      _exit(3);
    }
    const UniqueFd connection = ConnectUnix(socket_path);
    char data = connection.valid() ? 'c' : 'n';
    iovec vec{&data, 1};
    alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &vec;
    message.msg_iovlen = 1;
    message.msg_control = buffer;
    message.msg_controllen = sizeof(buffer);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = connection.get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
    char order = 0;
    if (sendmsg(control, &message, 0) == 1 && read(control, &order, 1) == 1 && order == 'x') {
      execl("/bin/sleep", "sleep", "1000", nullptr);
    }
    _exit(0);
  }

  int Receive() const {
    char data = 0;
    iovec vec{&data, 1};
    alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &vec;
    message.msg_iovlen = 1;
    message.msg_control = buffer;
    message.msg_controllen = sizeof(buffer);
    if (recvmsg(control_.get(), &message, MSG_CMSG_CLOEXEC) != 1 || data != 'c') {
      return -1;
    }
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return fd;
  }

  pid_t pid_ = 0;
  UniqueFd control_;
  UniqueFd connection_;
};

}  // namespace assay
