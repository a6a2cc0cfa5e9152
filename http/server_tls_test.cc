// SPDX-License-Identifier: GPL-3.0-or-later
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "http/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tcp_listener.h"
#include "tests/support/test_ca.h"

namespace assay::http {
namespace {

using testing::EndsWith;
using testing::StartsWith;

absl::Status Anybody(const std::vector<crypto::Certificate>& /*chain*/) { return absl::OkStatus(); }

crypto::TlsIdentity IdentityOf(const X509Svid& svid) {
  return {.chain = svid.chain, .signer = svid.key};
}

// A server and a caller in one thread. ALPN is another than with Prometheus: the server does not
// look at it.
class ServerTlsTest : public testing::Test {
 protected:
  // buffer_bytes: what the kernel keeps of what the caller does not read; 0: as it likes.
  void Start(const crypto::TlsIdentity& identity, int buffer_bytes = 0) {
    Server::Options options;
    options.serve = [](const Request& request, Server::Respond respond) {
      respond({.body = "path " + request.path});
    };
    options.tls = [identity] {
      return crypto::TlsConnection::ServerOptions{.identity = identity, .verify_client = &Anybody};
    };
    server = std::make_unique<Server>(*loop, clock, std::move(options));
    UniqueFd listener = ListenOn(INADDR_LOOPBACK);
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    fd.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (buffer_bytes != 0) {
      setsockopt(listener.get(), SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
      setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
    }
    // What the caller sends last does not wait for what it sent before.
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ASSERT_OK(server->Listen(std::move(listener)));
    ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  // Sends its greeting, and no more.
  void Greet(const crypto::TlsIdentity* identity = nullptr) {
    caller = crypto::TlsConnection::CreateClient({.identity = identity, .verify_server = &Anybody})
                 .value();
    ASSERT_OK(caller->Start());
    Send();
  }
  void Send() {
    const std::string bytes = caller->TakeOutput();
    EXPECT_EQ(send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Takes what there is; false when the server has closed.
  bool Receive() {
    for (int i = 0; i < 20; ++i) {
      loop->RunOnce(absl::Milliseconds(1));
    }
    std::array<char, 64 << 10> buffer;
    const ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      EXPECT_OK(caller->Feed({buffer.data(), static_cast<size_t>(size)}));
    }
    return size != 0 && !caller->peer_closed();
  }
  std::string Ask(const std::string& path) {
    EXPECT_OK(caller->Write("GET " + path + " HTTP/1.1\r\n\r\n"));
    Send();
    Receive();
    return caller->TakePlaintext();
  }
  // Until the handshake is done, or for as long as one can take.
  void Shake() {
    for (int i = 0; i < 1000 && !caller->handshake_done(); ++i) {
      Receive();
    }
    ASSERT_TRUE(caller->handshake_done());
    Send();
  }

  FakeClock clock{absl::Now()};
  TestCa ca;
  const X509Svid svid = ca.IssueSvid(TestId("spiffe://example.org/agent"));
  std::unique_ptr<EventLoop> loop = EventLoop::Create(clock).value();
  std::unique_ptr<Server> server;
  UniqueFd fd;
  std::unique_ptr<crypto::TlsConnection> caller;
};

TEST_F(ServerTlsTest, WritesAllOfAHandshakeThatTheCallerTakesInParts) {
  crypto::TlsIdentity identity = IdentityOf(svid);
  for (int i = 0; i < 5; ++i) {
    const SpiffeId long_id = TestId("spiffe://example.org/" + std::string(1900, 'a'));
    identity.chain.push_back(ca.IssueSvid(long_id).leaf());
  }
  Start(identity, /*buffer_bytes=*/1);
  Greet();
  Shake();
  EXPECT_THAT(Ask("/a"), EndsWith("path /a"));
  EXPECT_THAT(Ask("/b"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTlsTest, TellsNothingMoreOnceTheCallersCertificateHasExpired) {
  const crypto::TlsIdentity identity = IdentityOf(ca.IssueSvid(
      TestId("spiffe://example.org/prometheus"), crypto::KeyType::kEcP256, absl::Minutes(3)));
  Start(IdentityOf(svid));
  Greet(&identity);
  Shake();
  EXPECT_THAT(Ask("/a"), EndsWith("path /a"));
  clock.Advance(absl::Seconds(100));
  EXPECT_THAT(Ask("/b"), EndsWith("path /b"));
  clock.Advance(absl::Seconds(100));
  EXPECT_EQ(Ask("/c"), "");
  EXPECT_FALSE(Receive());
}

}  // namespace
}  // namespace assay::http
