// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/tunnel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>
#include <thread>

#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"
#include "upstream/tls_handshake.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

// Ours does not block.
struct Pair {
  UniqueFd ours, theirs;
};
Pair MakePair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ||
      fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
    std::abort();
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

absl::Status AcceptAny(const std::vector<crypto::Certificate>&) { return absl::OkStatus(); }

std::string Read(const UniqueFd& from) {
  std::string bytes(4096, '\0');
  const ssize_t count = recv(from.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return bytes;
}
void Write(const UniqueFd& to, std::string_view bytes) {
  EXPECT_EQ(send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

// An upstream that sends back what it gets, until its socket ends.
class EchoServer final {
 public:
  EchoServer(UniqueFd socket, const X509Svid& svid)
      : socket_(std::move(socket)), svid_(svid), thread_([this] { Run(); }) {}
  ~EchoServer() {
    shutdown(socket_.get(), SHUT_RDWR);
    thread_.join();
  }

 private:
  void Run() {
    const auto tls =
        crypto::TlsConnection::CreateServer(
            {.identity = {.chain = svid_.chain, .signer = svid_.key}, .verify_client = AcceptAny})
            .value();
    for (std::string bytes = Read(socket_); !bytes.empty(); bytes = Read(socket_)) {
      if (!tls->Feed(bytes).ok()) {
        break;
      }
      if (const std::string plaintext = tls->TakePlaintext(); !plaintext.empty()) {
        EXPECT_OK(tls->Write(plaintext));
      }
      if (const std::string out = tls->TakeOutput(); !out.empty()) {
        send(socket_.get(), out.data(), out.size(), MSG_NOSIGNAL);
      }
    }
  }

  const UniqueFd socket_;
  const X509Svid svid_;
  std::thread thread_;
};

// A key that signs when it is told to, as a TPM that is slow.
class FakeSlowSigner final : public crypto::Signer {
 public:
  explicit FakeSlowSigner(std::shared_ptr<const crypto::Signer> key) : key_(std::move(key)) {}

  const crypto::PublicKey& public_key() const override { return key_->public_key(); }
  absl::StatusOr<std::string> SignDigest(const crypto::SignatureScheme& scheme,
                                         std::string_view digest) const override {
    {
      const MutexLock lock(mutex_);
      is_asked_ = true;
      changed_.NotifyAll();
      while (!is_released_) {
        changed_.Wait(mutex_);
      }
    }
    return key_->SignDigest(scheme, digest);
  }

  void WaitUntilAsked() {
    const MutexLock lock(mutex_);
    while (!is_asked_) {
      changed_.Wait(mutex_);
    }
  }
  void Release() {
    const MutexLock lock(mutex_);
    is_released_ = true;
    changed_.NotifyAll();
  }

 private:
  const std::shared_ptr<const crypto::Signer> key_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  mutable bool is_asked_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_released_ ABSL_GUARDED_BY(mutex_) = false;
};

absl::Status HandshakeWith(const Pair& network, absl::Duration timeout = absl::Seconds(10)) {
  return MakeHandshake(network.ours,
                       {.identity = nullptr, .verify_server = AcceptAny, .timeout = timeout})
      .status();
}

TEST(TlsHandshakeTest, AServerThatSaysNothingIsGivenUp) {
  const Pair network = MakePair();
  EXPECT_THAT(HandshakeWith(network, absl::Milliseconds(20)),
              StatusIs(StatusCode::kUnavailable, HasSubstr("tls handshake: no answer for 20ms")));
}

TEST(TlsHandshakeTest, AServerThatClosesIsGivenUp) {
  Pair network = MakePair();
  network.theirs.Reset();
  EXPECT_THAT(HandshakeWith(network), StatusIs(StatusCode::kUnavailable, testing::_));
}

TEST(TlsHandshakeTest, AServerThatDoesNotSpeakTlsIsGivenUp) {
  const Pair network = MakePair();
  Write(network.theirs, "HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_THAT(HandshakeWith(network),
              StatusIs(StatusCode::kUnavailable, HasSubstr("tls handshake")));
}

class TunnelTest : public testing::Test {
 protected:
  // Whose bytes come back at the end that is returned.
  struct Opened {
    std::shared_ptr<Tunnel> tunnel;
    UniqueFd end;
  };
  absl::StatusOr<Opened> Open(UniqueFd network,
                              std::shared_ptr<const crypto::TlsIdentity> identity = nullptr) {
    ASSIGN_OR_RETURN(
        std::unique_ptr<crypto::TlsConnection> tls,
        MakeHandshake(network, {.identity = std::move(identity), .verify_server = AcceptAny}));
    Pair local = MakePair();
    return Opened{
        Tunnel::Start(thread_->loop(), std::move(network), std::move(local.ours), std::move(tls)),
        std::move(local.theirs)};
  }
  X509Svid Svid(const std::string& path) const {
    return ca_.IssueSvid(SpiffeId::Parse("spiffe://example.org" + path).value());
  }

  const TestCa ca_;
  SystemClock clock_;
  std::unique_ptr<TunnelThread> thread_ = TunnelThread::Create(clock_).value();
};

TEST_F(TunnelTest, PassesBytesUntilItIsClosed) {
  Pair network = MakePair();
  const EchoServer server(std::move(network.theirs), Svid("/spire/server"));
  auto opened = Open(std::move(network.ours));
  ASSERT_OK(opened);
  Write(opened->end, "hello");
  EXPECT_EQ(Read(opened->end), "hello");
  EXPECT_TRUE(opened->tunnel->alive());
  opened->tunnel->Close();
  EXPECT_EQ(Read(opened->end), "");
  EXPECT_FALSE(opened->tunnel->alive());
  EXPECT_OK(opened->tunnel->failure());
}

TEST_F(TunnelTest, EndsWhenTheUpstreamDoes) {
  Pair network = MakePair();
  std::optional<EchoServer> server;
  server.emplace(std::move(network.theirs), Svid("/spire/server"));
  auto opened = Open(std::move(network.ours));
  ASSERT_OK(opened);
  server.reset();
  EXPECT_EQ(Read(opened->end), "");
  EXPECT_FALSE(opened->tunnel->alive());
}

TEST_F(TunnelTest, ASlowSignatureHoldsUpNoOtherTunnel) {
  Pair network = MakePair();
  const EchoServer server(std::move(network.theirs), Svid("/spire/server"));
  auto opened = Open(std::move(network.ours));
  ASSERT_OK(opened);

  Pair other_network = MakePair();
  const EchoServer other_server(std::move(other_network.theirs), Svid("/spire/server"));
  const X509Svid agent = Svid("/spire/agent/1");
  const auto signer = std::make_shared<FakeSlowSigner>(agent.key);
  absl::StatusOr<Opened> other = absl::UnknownError("");
  std::thread connecting([&] {
    other = Open(std::move(other_network.ours),
                 std::make_shared<const crypto::TlsIdentity>(
                     crypto::TlsIdentity{.chain = agent.chain, .signer = signer}));
  });
  signer->WaitUntilAsked();
  Write(opened->end, "meanwhile");
  EXPECT_EQ(Read(opened->end), "meanwhile");
  signer->Release();
  connecting.join();
  ASSERT_OK(other);
  Write(other->end, "later");
  EXPECT_EQ(Read(other->end), "later");
}

}  // namespace
}  // namespace assay
