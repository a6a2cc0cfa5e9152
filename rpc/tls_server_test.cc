// SPDX-License-Identifier: GPL-3.0-or-later
// The server on TCP with TLS: who is let in, and what it knows of them.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "rpc/listen_socket.h"
#include "rpc/server.h"
#include "tests/support/test_ca.h"
#include "tests/support/test_server.h"

namespace assay::rpc {
namespace {

using google::protobuf::StringValue;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::string_view kServer = "spiffe://example.org/spire/server";
constexpr std::string_view kAgent = "spiffe://example.org/spire/agent/x";

crypto::TlsIdentity IdentityOf(const X509Svid& svid) {
  return {.chain = svid.chain, .signer = svid.key};
}

UniqueFd ConnectTcp(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

// The client's end of TLS: plain bytes at a socket of its own, cipher bytes at the server.
class Tunnel final {
 public:
  Tunnel(uint16_t port, const crypto::TlsIdentity* identity) : cipher_(ConnectTcp(port)) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    plain_.Reset(ends[0]);
    outer_.Reset(ends[1]);
    tls_ =
        crypto::TlsConnection::CreateClient(
            {.identity = identity, .verify_server = [](const auto&) { return absl::OkStatus(); }})
            .value();
    EXPECT_OK(tls_->Start());
  }
  UniqueFd TakePlainEnd() { return std::move(outer_); }
  void Relay() {
    char buffer[64 << 10];
    ssize_t size = recv(cipher_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size == 0 || (size > 0 && !tls_->Feed({buffer, static_cast<size_t>(size)}).ok())) {
      shutdown(plain_.get(), SHUT_WR);
    }
    const std::string plain = tls_->TakePlaintext();
    if (!plain.empty()) {
      EXPECT_EQ(send(plain_.get(), plain.data(), plain.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(plain.size()));
    }
    if (tls_->handshake_done()) {
      size = recv(plain_.get(), buffer, sizeof(buffer), 0);
      if (size > 0) {
        EXPECT_OK(tls_->Write({buffer, static_cast<size_t>(size)}));
      }
    }
    out_ += tls_->TakeOutput();
    const ssize_t sent = send(cipher_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    out_.erase(0, sent > 0 ? static_cast<size_t>(sent) : 0);
  }

 private:
  UniqueFd cipher_, plain_, outer_;
  std::unique_ptr<crypto::TlsConnection> tls_;
  std::string out_;
};

class TlsServerTest : public testing::Test {
 protected:
  TlsServerTest() : server_svid_(ca_.IssueSvid(TestId(kServer))) {
    server_.registry.Add(
        "/test.Echo/Say",
        Unary<StringValue>([this](Call& call, const StringValue& request, const Responder& r) {
          seen_chain_ = call.peer().tls_chain;
          seen_address_ = call.peer().address;
          r.Reply(request);
        }));
    server_.Start({.limits = {.max_connections_per_address = 2},
                   .tls = [this]() -> absl::StatusOr<crypto::TlsConnection::ServerOptions> {
                     return crypto::TlsConnection::ServerOptions{
                         .identity = IdentityOf(server_svid_),
                         .verify_client = [this](const std::vector<crypto::Certificate>& chain) {
                           return VerifyX509Svid(chain, ca_.Bundle(), absl::Now()).status();
                         }};
                   }});
    auto listener = ListenTcp("127.0.0.1", 0);
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    getsockname(listener->get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    EXPECT_OK(server_.server().Listen(std::move(*listener)));
  }

  std::unique_ptr<Http2Client> Connect(const crypto::TlsIdentity* identity) {
    tunnel_ = std::make_unique<Tunnel>(port_, identity);
    return std::make_unique<Http2Client>(tunnel_->TakePlainEnd(), [this] {
      tunnel_->Relay();
      server_.pump()();
    });
  }

  TestCa ca_;
  X509Svid server_svid_;
  TestServer server_;
  uint16_t port_ = 0;
  std::unique_ptr<Tunnel> tunnel_;
  std::vector<crypto::Certificate> seen_chain_;
  std::string seen_address_;
};

TEST_F(TlsServerTest, KnowsTheVerifiedChainOfItsCaller) {
  const X509Svid svid = ca_.IssueSvid(TestId(kAgent));
  const crypto::TlsIdentity identity = IdentityOf(svid);
  auto client = Connect(&identity);
  EXPECT_EQ(client->Call("/test.Echo/Say", "").status(), 0);
  ASSERT_THAT(seen_chain_, SizeIs(1));
  EXPECT_EQ(seen_chain_[0], svid.chain[0]);
  EXPECT_THAT(seen_address_, HasSubstr("127.0.0.1:"));
}

TEST_F(TlsServerTest, LetsACallerWithoutACertificateInAsNobody) {
  auto client = Connect(nullptr);
  EXPECT_EQ(client->Call("/test.Echo/Say", "").status(), 0);
  EXPECT_THAT(seen_chain_, IsEmpty());
}

TEST_F(TlsServerTest, ClosesOnACertificateOfAnotherAuthority) {
  const crypto::TlsIdentity identity = IdentityOf(TestCa().IssueSvid(TestId(kAgent)));
  auto client = Connect(&identity);
  EXPECT_TRUE(client->WaitLost());
  EXPECT_EQ(server_.server().connections(), 0u);
}

TEST_F(TlsServerTest, CarriesLargeMessagesBothWays) {
  StringValue request;
  request.set_value(std::string(2 << 20, 'x'));
  const crypto::TlsIdentity identity = IdentityOf(ca_.IssueSvid(TestId(kAgent)));
  auto client = Connect(&identity);
  const auto& answer = client->Call("/test.Echo/Say", request.SerializeAsString());
  EXPECT_EQ(answer.status(), 0);
  EXPECT_TRUE(answer.messages().at(0) == request.SerializeAsString());
}

TEST_F(TlsServerTest, HoldsLittleForACallerWithoutACertificate) {
  StringValue request;
  request.set_value(std::string(2 << 20, 'x'));
  auto client = Connect(nullptr);
  EXPECT_EQ(client->Call("/test.Echo/Say", request.SerializeAsString()).status(), 8);
  request.set_value(std::string(500 << 10, 'x'));
  EXPECT_EQ(client->Call("/test.Echo/Say", request.SerializeAsString()).status(), 0);
}

TEST_F(TlsServerTest, CountsConnectionsOfAnAddressUntilTheyShowACertificate) {
  const crypto::TlsIdentity first = IdentityOf(ca_.IssueSvid(TestId(kAgent)));
  const crypto::TlsIdentity second = IdentityOf(ca_.IssueSvid(TestId(kServer)));
  std::vector<std::unique_ptr<Tunnel>> tunnels;
  std::vector<std::unique_ptr<Http2Client>> clients;
  for (const crypto::TlsIdentity* identity : {&first, &first, &second, &second}) {
    clients.push_back(Connect(identity));
    EXPECT_EQ(clients.back()->Call("/test.Echo/Say", "").status(), 0);
    tunnels.push_back(std::move(tunnel_));
  }
  EXPECT_TRUE(Connect(&first)->WaitLost());
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 3; ++i) {
    silent.push_back(ConnectTcp(port_));
  }
  for (int i = 0; i < 20; ++i) {
    server_.pump()();
  }
  EXPECT_EQ(server_.server().connections(), 6u);
}

TEST_F(TlsServerTest, ClosesAHandshakeThatStalls) {
  const UniqueFd silent = ConnectTcp(port_);
  const UniqueFd half = ConnectTcp(port_);
  send(half.get(), "\x16\x03\x01\x02\x00", 5, MSG_NOSIGNAL);
  while (server_.server().connections() < 2) {
    server_.pump()();
  }
  server_.clock.Advance(absl::Seconds(10));
  server_.pump()();
  EXPECT_EQ(server_.server().connections(), 0u);
}

TEST_F(TlsServerTest, ClosesWhatIsNotTls) {
  const UniqueFd plain = ConnectTcp(port_);
  send(plain.get(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, MSG_NOSIGNAL);
  char alert[64];
  ssize_t size = -1;
  for (int i = 0; i < 100 && size != 0; ++i) {
    server_.pump()();
    size = recv(plain.get(), alert, sizeof(alert), MSG_DONTWAIT);
  }
  EXPECT_EQ(size, 0);
  EXPECT_EQ(server_.server().connections(), 0u);
}

TEST_F(TlsServerTest, ServesUnixSocketsInPlainBesideIt) {
  auto client = server_.Connect();
  EXPECT_EQ(client->Call("/test.Echo/Say", "").status(), 0);
  EXPECT_EQ(seen_address_, "");
}

}  // namespace
}  // namespace assay::rpc
