// SPDX-License-Identifier: GPL-3.0-or-later
// TLS with OpenSSL at the other end.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <functional>
#include <utility>

#include "base/files.h"
#include "base/unique_fd.h"
#include "crypto/pem.h"
#include "crypto/tls.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_ca.h"

namespace assay::crypto {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kWaitMilliseconds = 20'000;
constexpr std::string_view kId = "spiffe://example.org/peer";

// An openssl command that runs beside the test.
class Background {
 public:
  explicit Background(const std::string& command)
      : pipe_(popen((command + " 2>&1").c_str(), "r")) {}
  ~Background() {
    if (pipe_ != nullptr) {
      pclose(pipe_);
    }
  }
  // What it says until the line that begins with this; the line itself is returned.
  std::string WaitForLine(std::string_view start) {
    char line[1024];
    while (pipe_ != nullptr && fgets(line, sizeof(line), pipe_) != nullptr) {
      if (std::string_view(line).starts_with(start)) {
        return line;
      }
    }
    return "";
  }
  // The rest of what it says, once it has ended.
  std::string Finish() {
    std::string output;
    char buffer[4096];
    for (size_t size; (size = fread(buffer, 1, sizeof(buffer), pipe_)) > 0;) {
      output.append(buffer, size);
    }
    pclose(std::exchange(pipe_, nullptr));
    return output;
  }

 private:
  FILE* pipe_;
};

// Moves bytes between a connection and a socket until done() or the first error.
absl::Status Move(TlsConnection& tls, int fd, const std::function<bool()>& done) {
  absl::Status status = absl::OkStatus();
  while (true) {
    const std::string output = tls.TakeOutput();
    if (!output.empty() && send(fd, output.data(), output.size(), MSG_NOSIGNAL) !=
                               static_cast<ssize_t>(output.size())) {
      return Unavailable("write failed");
    }
    if (!status.ok() || done()) {
      return status;
    }
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, kWaitMilliseconds) != 1) {
      return Unavailable("nothing comes");
    }
    char buffer[16384];
    const ssize_t count = recv(fd, buffer, sizeof(buffer), 0);
    if (count <= 0) {
      return Unavailable("the socket closed");
    }
    status = tls.Feed({buffer, static_cast<size_t>(count)});
  }
}

class TlsOpensslTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_OPENSSL();
    Put("ca.pem", PemEncode("CERTIFICATE", ca_.certificate().der()));
  }
  void Put(const std::string& name, std::string_view text) {
    ASSERT_OK(WriteFileAtomically(File(name), text, 0600));
  }
  std::string File(const std::string& name) const { return folder_.path() + "/" + name; }

  // An SVID in files: the options that tell openssl.
  std::string IdentityOptions(KeyType type = KeyType::kEcP256) {
    const auto key = PrivateKey::Generate(type).value();
    const Certificate leaf = ca_.IssueFor(TestId(kId), key->public_key());
    Put("cert.pem", PemEncode("CERTIFICATE", leaf.der()));
    Put("key.pem", PemEncode("PRIVATE KEY", key->pkcs8().Reveal()));
    return " -cert " + File("cert.pem") + " -key " + File("key.pem");
  }
  TlsIdentity Identity(KeyType type = KeyType::kEcP256) const {
    const X509Svid svid = ca_.IssueSvid(TestId("spiffe://example.org/us"), type);
    return {.chain = svid.chain, .signer = svid.key};
  }
  ChainVerifier Verifier() const {
    return [bundle = ca_.Bundle()](const std::vector<Certificate>& chain) {
      return VerifyX509Svid(chain, bundle, absl::Now()).status();
    };
  }

  struct Served {
    absl::Status status;
    std::string received;
    std::vector<Certificate> peer;
    std::string client_output;
  };
  // Our server, and one s_client with these options that says hello.
  Served Serve(const TlsIdentity& identity, const std::string& client_options) {
    UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener.get(), raw, size) != 0 || listen(listener.get(), 1) != 0 ||
        getsockname(listener.get(), raw, &size) != 0) {
      return {
          .status = Unavailable("no listener"), .received = {}, .peer = {}, .client_output = {}};
    }
    Background client(
        fmt::format("(echo hello; sleep 0.2) | timeout 20 openssl s_client -connect "
                    "127.0.0.1:{} -CAfile {} -verify_return_error {}",
                    ntohs(address.sin_port), File("ca.pem"), client_options));
    const UniqueFd fd(accept(listener.get(), nullptr, nullptr));
    const auto tls =
        TlsConnection::CreateServer({.identity = identity, .verify_client = Verifier()}).value();
    Served served;
    served.status = Move(*tls, fd.get(), [&] {
      served.received += tls->TakePlaintext();
      return tls->peer_closed() || served.received.ends_with("\n");
    });
    served.peer = tls->peer_chain();
    shutdown(fd.get(), SHUT_RDWR);
    served.client_output = client.Finish();
    return served;
  }

  // Our client against one s_server with these options, which sends lines back reversed.
  absl::Status Visit(const TlsIdentity* identity, const std::string& server_options,
                     std::string& answer) {
    Background server(
        fmt::format("timeout 20 openssl s_server -accept 127.0.0.1:0 -naccept 1 -rev "
                    "-CAfile {} {}",
                    File("ca.pem"), server_options));
    const std::string line = server.WaitForLine("ACCEPT");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port =
        htons(static_cast<uint16_t>(std::atoi(line.substr(line.rfind(':') + 1).c_str())));
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      return Unavailable("s_server is not there: {}", line);
    }
    const auto tls =
        TlsConnection::CreateClient({.identity = identity, .verify_server = Verifier()}).value();
    RETURN_IF_ERROR(tls->Start());
    if (absl::Status bad = Move(*tls, fd.get(), [&] { return tls->handshake_done(); }); !bad.ok()) {
      return bad;
    }
    RETURN_IF_ERROR(tls->Write("hello\n"));
    absl::Status status = Move(*tls, fd.get(), [&] {
      answer += tls->TakePlaintext();
      return answer.ends_with("\n");
    });
    tls->Close();
    static_cast<void>(Move(*tls, fd.get(), [] { return true; }));
    return status;
  }

  const TempFolder folder_;
  const TestCa ca_;
};

TEST_F(TlsOpensslTest, AClientOfOpensslIsServed) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    const Served served = Serve(Identity(type), "-alpn h2" + IdentityOptions(type));
    EXPECT_OK(served.status);
    EXPECT_EQ(served.received, "hello\n");
    ASSERT_FALSE(served.peer.empty());
    EXPECT_EQ(served.peer[0].uris().at(0), kId);
    EXPECT_THAT(served.client_output, HasSubstr("ALPN protocol: h2"));
    EXPECT_THAT(served.client_output, HasSubstr("Verify return code: 0 (ok)"));
    // Sessions are never resumed.
    EXPECT_THAT(served.client_output, Not(HasSubstr("New Session Ticket arrived")));
    EXPECT_THAT(served.client_output, HasSubstr("Cipher is TLS_CHACHA20_POLY1305_SHA256"));
    EXPECT_THAT(served.client_output, HasSubstr("Server Temp Key: X25519"));
  }
}

TEST_F(TlsOpensslTest, AClientWithoutACertificateIsAskedForOneAndServed) {
  const Served served = Serve(Identity(), "-alpn h2");
  EXPECT_OK(served.status);
  EXPECT_EQ(served.received, "hello\n");
  EXPECT_TRUE(served.peer.empty());
  EXPECT_THAT(served.client_output, HasSubstr("No client certificate CA names sent\n"
                                              "Requested Signature Algorithms: ECDSA+"));
}

TEST_F(TlsOpensslTest, AClientOfOtherGroupsAndSuitesIsServed) {
  for (const char* options : {"-alpn h2 -groups P-256", "-alpn h2 -groups P-384:X25519",
                              "-alpn grpc-exp,h2 -ciphersuites TLS_AES_128_GCM_SHA256"}) {
    const Served served = Serve(Identity(), options);
    EXPECT_OK(served.status) << options;
    EXPECT_EQ(served.received, "hello\n") << options;
  }
}

TEST_F(TlsOpensslTest, AClientOfAnotherVersionOrProtocolIsRefused) {
  for (const char* options : {"-alpn h2 -tls1_2", "-alpn http/1.1", "-tls1_3"}) {
    const Served served = Serve(Identity(), options);
    EXPECT_FALSE(served.status.ok()) << options;
    EXPECT_EQ(served.received, "") << options;
  }
}

TEST_F(TlsOpensslTest, AClientCertificateThatDoesNotVerifyIsRefused) {
  const TestCa evil;
  const auto key = PrivateKey::Generate(KeyType::kEcP256).value();
  Put("evil.pem", PemEncode("CERTIFICATE", evil.IssueFor(TestId(kId), key->public_key()).der()));
  Put("evil-ca.pem", PemEncode("CERTIFICATE", evil.certificate().der()));
  Put("evil.key", PemEncode("PRIVATE KEY", key->pkcs8().Reveal()));
  const Served served = Serve(Identity(), "-alpn h2 -cert " + File("evil.pem") + " -cert_chain " +
                                              File("evil-ca.pem") + " -key " + File("evil.key"));
  EXPECT_THAT(served.status, StatusIs(absl::StatusCode::kPermissionDenied,
                                      HasSubstr("signed by unknown authority")));
  EXPECT_EQ(served.received, "");
  EXPECT_TRUE(served.peer.empty());
}

TEST_F(TlsOpensslTest, AServerOfOpensslIsTalkedTo) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    const TlsIdentity identity = Identity(type);
    std::string answer;
    EXPECT_OK(Visit(&identity, "-alpn h2 -Verify 1 -verify_return_error" + IdentityOptions(type),
                    answer));
    EXPECT_EQ(answer, "olleh\n");
  }
}

TEST_F(TlsOpensslTest, AServerOfOtherGroupsAndSuitesIsTalkedTo) {
  for (const char* options :
       {"-alpn h2 -groups P-256", "-alpn h2 -ciphersuites TLS_AES_256_GCM_SHA384"}) {
    std::string answer;
    EXPECT_OK(Visit(nullptr, options + IdentityOptions(), answer)) << options;
    EXPECT_EQ(answer, "olleh\n") << options;
  }
}

TEST_F(TlsOpensslTest, AServerOfAnotherVersionOrProtocolIsRefused) {
  for (const char* options : {"-alpn h2 -tls1_2", "-alpn http/1.1", ""}) {
    std::string answer;
    EXPECT_FALSE(Visit(nullptr, options + IdentityOptions(), answer).ok()) << options;
    EXPECT_EQ(answer, "") << options;
  }
}

TEST_F(TlsOpensslTest, TheAlertOfAServerThatWantsACertificateIsTold) {
  std::string answer;
  EXPECT_THAT(Visit(nullptr, "-alpn h2 -Verify 1" + IdentityOptions(), answer),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("remote error: tls: certificate required")));
}

}  // namespace
}  // namespace assay::crypto
