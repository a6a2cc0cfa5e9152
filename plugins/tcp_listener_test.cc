// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/tcp_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::HasSubstr;

constexpr std::string_view kRow =
    "   1: 0100007F:2710 00000000:0000 0A 00000000:00000000 00:00000000 00000000  4242        0 9 "
    "1";

struct Listening {
  UniqueFd fd;
  std::string port;
};

Listening Listen(const in6_addr& address) {
  Listening listening{.fd = UniqueFd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)), .port = {}};
  sockaddr_in6 local{};
  local.sin6_family = AF_INET6;
  local.sin6_addr = address;
  socklen_t size = sizeof(local);
  EXPECT_EQ(bind(listening.fd.get(), reinterpret_cast<sockaddr*>(&local), size), 0);
  EXPECT_EQ(listen(listening.fd.get(), 1), 0);
  getsockname(listening.fd.get(), reinterpret_cast<sockaddr*>(&local), &size);
  listening.port = std::to_string(ntohs(local.sin6_port));
  return listening;
}

in6_addr Mapped() {
  in6_addr address{};
  const uint8_t bytes[] = {0xff, 0xff, 127, 0, 0, 1};
  memcpy(&address.s6_addr[10], bytes, sizeof(bytes));
  return address;
}

PluginAddress At(const std::string& host, const std::string& port) {
  return *ParseHandshake("1|1|tcp|" + host + ":" + port + "|grpc");
}

TEST(TcpListenerTest, IsReadFromTheKernelsTable) {
  const auto listener = ParseTcpListener(kRow);
  ASSERT_TRUE(listener.has_value());
  EXPECT_EQ(listener->local, "0100007F:2710");
  EXPECT_EQ(listener->uid, 4242U);
  std::string connected(kRow);
  connected.replace(connected.find(" 0A "), 4, " 01 ");
  EXPECT_FALSE(ParseTcpListener(connected).has_value());
  for (size_t size = 0; size < kRow.find("4242"); ++size) {
    EXPECT_FALSE(ParseTcpListener(kRow.substr(0, size)).has_value()) << size;
  }
}

TEST(TcpListenerTest, OnlyTheOwnersIsTaken) {
  for (const in6_addr& address : {in6addr_any, Mapped()}) {
    const Listening listening = Listen(address);
    const PluginAddress at = At("127.0.0.1", listening.port);
    EXPECT_OK(CheckTcpListener(at, geteuid()));
    EXPECT_THAT(
        CheckTcpListener(at, geteuid() + 1),
        StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("listens on the plugin's")));
    EXPECT_OK(ConnectTo(at).status());
  }
  const Listening listening = Listen(in6addr_loopback);
  EXPECT_OK(CheckTcpListener(At("[::1]", listening.port), geteuid()));
  EXPECT_THAT(CheckTcpListener(At("127.0.0.1", listening.port), geteuid()),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("nobody is seen")));
}

TEST(TcpListenerTest, AnotherUsersIsNotConnectedTo) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  const Listening listening = Listen(in6addr_any);
  constexpr uid_t kOther = 4242;
  ASSERT_EQ(seteuid(kOther), 0);
  const auto connected = ConnectTo(At("127.0.0.1", listening.port));
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(connected.status(), StatusIs(absl::StatusCode::kPermissionDenied,
                                           HasSubstr("user 0 listens on the plugin's TCP port")));
}

}  // namespace
}  // namespace assay
