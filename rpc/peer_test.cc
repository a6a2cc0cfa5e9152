// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/peer.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/http2_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::rpc {
namespace {

// A child that connects, and waits until it is killed.
class ConnectedChild final {
 public:
  explicit ConnectedChild(const std::string& path, const std::vector<gid_t>& groups = {})
      : pid_(fork()) {
    if (pid_ == 0) {
      if (!groups.empty() && setgroups(groups.size(), groups.data()) != 0) {
        _exit(1);
      }
      const UniqueFd fd = ConnectUnix(path);
      while (true) {
        pause();
      }
    }
  }
  ~ConnectedChild() {
    Kill();
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  // It stays a zombie, so its number is not reused.
  void Kill() {
    kill(pid_, SIGKILL);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }

 private:
  const pid_t pid_;
};

UniqueFd ListenAt(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(fd.get(), 8), 0);
  return fd;
}

TEST(ProcessPeerTest, IsTheProcessThatConnected) {
  const TempFolder folder;
  const UniqueFd listener = ListenAt(folder.path() + "/s");
  ConnectedChild child(folder.path() + "/s");
  const UniqueFd accepted(accept(listener.get(), nullptr, nullptr));
  const auto peer = ProcessPeer::Of(accepted.get());
  ASSERT_OK(peer);
  EXPECT_EQ(peer->pid, child.pid());
  EXPECT_EQ(peer->uid, getuid());
  EXPECT_EQ(peer->gid, getgid());
  std::vector<gid_t> groups(static_cast<size_t>(getgroups(0, nullptr)));
  ASSERT_EQ(getgroups(static_cast<int>(groups.size()), groups.data()), groups.size());
  EXPECT_EQ(peer->groups, groups);
  EXPECT_TRUE(peer->Alive());
  child.Kill();
  EXPECT_FALSE(peer->Alive()) << "a zombie is dead";
}

TEST(ProcessPeerTest, HasTheGroupsItConnectedWithUnlessTheyAreMany) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "SKIPPED: needs root to take groups";
  }
  const TempFolder folder;
  const UniqueFd listener = ListenAt(folder.path() + "/s");
  std::vector<gid_t> groups = {7, 9};
  for (const size_t count : {2u, 64u, 65u}) {
    while (groups.size() < count) {
      groups.push_back(groups.back() + 1);
    }
    const ConnectedChild child(folder.path() + "/s", groups);
    const UniqueFd accepted(accept(listener.get(), nullptr, nullptr));
    const auto peer = ProcessPeer::Of(accepted.get());
    ASSERT_OK(peer);
    EXPECT_EQ(peer->groups, count <= 64 ? std::optional(groups) : std::nullopt);
  }
}

TEST(ProcessPeerTest, IsUnknownOnOtherSockets) {
  const UniqueFd tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_FALSE(ProcessPeer::Of(tcp.get()).ok());
  EXPECT_FALSE(ProcessPeer::Of(-1).ok());
  EXPECT_FALSE(ProcessPeer().Alive());
}

}  // namespace
}  // namespace assay::rpc
