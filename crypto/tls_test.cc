// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/tls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

constexpr std::string_view kServer = "spiffe://example.org/spire/server";
constexpr std::string_view kClient = "spiffe://example.org/spire/agent/x";

TlsIdentity IdentityOf(const X509Svid& svid) { return {.chain = svid.chain, .signer = svid.key}; }

ChainVerifier VerifierOf(const TrustBundle& bundle, std::string_view wanted) {
  return [bundle, wanted](const std::vector<Certificate>& chain) -> absl::Status {
    const auto id = VerifyX509Svid(chain, bundle, absl::Now());
    if (!id.ok()) {
      return id.status();
    }
    return id->ToString() == wanted ? absl::OkStatus()
                                    : PermissionDenied("the peer is {}", id->ToString());
  };
}

// A signer that claims a key and signs with another.
class LyingSigner final : public Signer {
 public:
  LyingSigner(PublicKey claimed, std::shared_ptr<const Signer> real)
      : claimed_(std::move(claimed)), real_(std::move(real)) {}
  const PublicKey& public_key() const override { return claimed_; }
  absl::StatusOr<std::string> SignDigest(const SignatureScheme& scheme,
                                         std::string_view digest) const override {
    return real_->SignDigest(scheme, digest);
  }

 private:
  PublicKey claimed_;
  std::shared_ptr<const Signer> real_;
};

class BrokenSigner final : public Signer {
 public:
  explicit BrokenSigner(PublicKey key) : key_(std::move(key)) {}
  const PublicKey& public_key() const override { return key_; }
  absl::StatusOr<std::string> SignDigest(const SignatureScheme&, std::string_view) const override {
    return FailedPrecondition("the tpm is on fire");
  }

 private:
  PublicKey key_;
};

// A client and a server that are fed each other's bytes.
struct Ends {
  std::unique_ptr<TlsConnection> client, server;
  absl::Status client_status, server_status;
  std::string client_bytes;  // All that the client sent.

  bool done() const { return client->handshake_done() && server->handshake_done(); }
  // Until neither has anything to say.
  void Exchange() {
    while (true) {
      const std::string to_server = client->TakeOutput();
      const std::string to_client = server->TakeOutput();
      if (to_server.empty() && to_client.empty()) {
        return;
      }
      client_bytes += to_server;
      if (!to_server.empty() && server_status.ok()) {
        server_status = server->Feed(to_server);
      }
      if (!to_client.empty() && client_status.ok()) {
        client_status = client->Feed(to_client);
      }
    }
  }
};

struct Parties {
  TrustBundle client_bundle, server_bundle;  // What each verifies the other by.
  TlsIdentity server;
  std::optional<TlsIdentity> client;
};

Ends Shake(const Parties& parties) {
  Ends ends;
  ends.server =
      TlsConnection::CreateServer(
          {.identity = parties.server, .verify_client = VerifierOf(parties.server_bundle, kClient)})
          .value();
  ends.client =
      TlsConnection::CreateClient({.identity = parties.client ? &*parties.client : nullptr,
                                   .verify_server = VerifierOf(parties.client_bundle, kServer)})
          .value();
  ends.client_status = ends.client->Start();
  ends.Exchange();
  return ends;
}

const TestCa& Ca() {
  static const TestCa ca;
  return ca;
}

Parties GoodParties(KeyType type = KeyType::kEcP256) {
  return {.client_bundle = Ca().Bundle(),
          .server_bundle = Ca().Bundle(),
          .server = IdentityOf(Ca().IssueSvid(TestId(kServer), type)),
          .client = IdentityOf(Ca().IssueSvid(TestId(kClient), type))};
}

void ExpectTheyTalk(Ends& ends) {
  ASSERT_OK(ends.client_status);
  ASSERT_OK(ends.server_status);
  ASSERT_TRUE(ends.done());
  const std::string large(100'000, 'x');
  ASSERT_OK(ends.client->Write(large));
  ASSERT_OK(ends.server->Write("hello, client"));
  ends.Exchange();
  EXPECT_EQ(ends.server->TakePlaintext(), large);
  EXPECT_EQ(ends.client->TakePlaintext(), "hello, client");
}

TEST(TlsTest, BothSidesAuthenticateAndTalk) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    const Parties parties = GoodParties(type);
    Ends ends = Shake(parties);
    ExpectTheyTalk(ends);
    EXPECT_EQ(ends.client->peer_chain(), parties.server.chain);
    EXPECT_EQ(ends.server->peer_chain(), parties.client->chain);
  }
}

TEST(TlsTest, AClientWithoutACertificateIsAnonymous) {
  Parties parties = GoodParties();
  parties.client.reset();
  Ends ends = Shake(parties);
  ExpectTheyTalk(ends);
  EXPECT_TRUE(ends.server->peer_chain().empty());
}

TEST(TlsTest, IntermediatesAreSent) {
  const TestCa lower = TestCa::Under(TestCa::Under(Ca()));
  Parties parties = GoodParties();
  parties.server = IdentityOf(lower.IssueSvid(TestId(kServer)));
  parties.client = IdentityOf(lower.IssueSvid(TestId(kClient)));
  Ends ends = Shake(parties);
  ExpectTheyTalk(ends);
  EXPECT_EQ(ends.server->peer_chain().size(), 3u);
}

// The client has neither finished nor sent a byte that is under the traffic keys.
void ExpectServerRefused(const Parties& parties, std::string_view words) {
  Ends ends = Shake(parties);
  EXPECT_THAT(ends.client_status, StatusIs(StatusCode::kPermissionDenied, HasSubstr(words)));
  EXPECT_FALSE(ends.client->handshake_done());
  EXPECT_FALSE(ends.server->handshake_done());
  EXPECT_FALSE(ends.client->Write("secret").ok());
  EXPECT_TRUE(ends.client->peer_chain().empty());
  EXPECT_EQ(ends.client->TakePlaintext(), "");
  EXPECT_THAT(ends.server_status, StatusIs(StatusCode::kUnavailable, HasSubstr("remote error")));
  EXPECT_EQ(ends.client->Feed("more"), ends.client_status);
}

TEST(TlsTest, AServerOfAnotherAuthorityIsRefused) {
  const TestCa evil;
  Parties parties = GoodParties();
  parties.server = IdentityOf(evil.IssueSvid(TestId(kServer)));
  ExpectServerRefused(parties, "x509: certificate signed by unknown authority");
}

TEST(TlsTest, AServerThatBringsItsOwnAuthoritiesIsRefused) {
  const TestCa evil;
  const TestCa evil_lower = TestCa::Under(evil);
  for (const TestCa* ca : {&evil, &evil_lower}) {
    Parties parties = GoodParties();
    parties.server = IdentityOf(ca->IssueSvid(TestId(kServer)));
    parties.server.chain.push_back(evil.certificate());
    ExpectServerRefused(parties, "x509: certificate signed by unknown authority");
  }
}

TEST(TlsTest, AnEvilIntermediateBesideAGoodOneIsRefused) {
  // The leaf is signed by a key that a mere workload of the trust domain holds.
  const X509Svid workload = Ca().IssueSvid(TestId("spiffe://example.org/workload"));
  const auto key = PrivateKey::Generate(KeyType::kEcP256).value();
  const auto leaf = IssueCertificate({.serial = RandomSerial(),
                                      .subject = {},
                                      .not_before = absl::Now() - absl::Hours(1),
                                      .not_after = absl::Now() + absl::Hours(1),
                                      .uris = {std::string(kServer)},
                                      .dns_names = {},
                                      .key_usage = kDigitalSignature,
                                      .extended_key_usage = {}},
                                     key->public_key(), &workload.leaf(), *workload.key);
  ASSERT_OK(leaf);
  Parties parties = GoodParties();
  parties.server = {
      .chain = {Certificate::Parse(*leaf).value(), workload.leaf()},
      .signer = std::shared_ptr<const Signer>(PrivateKey::Parse(key->pkcs8()).value())};
  Ends ends = Shake(parties);
  EXPECT_FALSE(ends.client_status.ok());
  EXPECT_FALSE(ends.client->handshake_done());
}

TEST(TlsTest, AServerOfAnotherNameIsRefused) {
  Parties parties = GoodParties();
  parties.server = IdentityOf(Ca().IssueSvid(TestId("spiffe://example.org/other")));
  ExpectServerRefused(parties, "the peer is spiffe://example.org/other");
}

TEST(TlsTest, AnExpiredServerIsRefused) {
  Parties parties = GoodParties();
  parties.server = IdentityOf(Ca().IssueSvid(TestId(kServer), KeyType::kEcP256, -absl::Minutes(1)));
  ExpectServerRefused(parties, "expired");
}

// X509-16
TEST(TlsTest, ASigningCertificateIsRefusedAsAServers) {
  Parties parties = GoodParties();
  parties.server = {
      .chain = {Ca().certificate()},
      .signer = std::shared_ptr<const Signer>(PrivateKey::Parse(Ca().key().pkcs8()).value())};
  Ends ends = Shake(parties);
  EXPECT_FALSE(ends.client_status.ok());
  EXPECT_FALSE(ends.client->handshake_done());
}

TEST(TlsTest, AServerThatDoesNotHaveItsKeyIsRefused) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kRsa2048}) {
    Parties parties = GoodParties(type);
    parties.server.signer = std::make_shared<LyingSigner>(
        parties.server.signer->public_key(), Ca().IssueSvid(TestId(kServer), type).key);
    Ends ends = Shake(parties);
    EXPECT_THAT(ends.client_status, StatusIs(StatusCode::kUnavailable, HasSubstr("tls handshake")));
    EXPECT_FALSE(ends.client->handshake_done());
  }
}

// In TLS 1.3 the client is done before the server has seen its certificate.
void ExpectClientRefused(const Parties& parties, StatusCode code, std::string_view words) {
  Ends ends = Shake(parties);
  EXPECT_THAT(ends.server_status, StatusIs(code, HasSubstr(words)));
  EXPECT_FALSE(ends.server->handshake_done());
  EXPECT_EQ(ends.server->TakePlaintext(), "");
  EXPECT_TRUE(ends.server->peer_chain().empty());
  EXPECT_THAT(ends.client_status,
              StatusIs(StatusCode::kUnavailable, HasSubstr("remote error: tls: ")));
}

TEST(TlsTest, AClientThatDoesNotVerifyIsRefused) {
  Parties parties = GoodParties();
  parties.client = IdentityOf(TestCa().IssueSvid(TestId(kClient)));
  ExpectClientRefused(parties, StatusCode::kPermissionDenied, "signed by unknown authority");
  parties.client = IdentityOf(Ca().IssueSvid(TestId("spiffe://example.org/stranger")));
  ExpectClientRefused(parties, StatusCode::kPermissionDenied, "the peer is");
}

TEST(TlsTest, AClientThatDoesNotHaveItsKeyIsRefused) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kRsa2048}) {
    Parties parties = GoodParties(type);
    parties.client->signer = std::make_shared<LyingSigner>(
        parties.client->signer->public_key(), Ca().IssueSvid(TestId(kClient), type).key);
    ExpectClientRefused(parties, StatusCode::kUnavailable, "tls handshake");
  }
}

TEST(TlsTest, ApplicationDataOfARefusedClientIsNotReleased) {
  Parties parties = GoodParties();
  parties.client = IdentityOf(TestCa().IssueSvid(TestId(kClient)));
  Ends ends;
  ends.server =
      TlsConnection::CreateServer(
          {.identity = parties.server, .verify_client = VerifierOf(parties.server_bundle, kClient)})
          .value();
  ends.client =
      TlsConnection::CreateClient({.identity = &*parties.client,
                                   .verify_server = VerifierOf(parties.client_bundle, kServer)})
          .value();
  ASSERT_OK(ends.client->Start());
  ASSERT_OK(ends.server->Feed(ends.client->TakeOutput()));
  ASSERT_OK(ends.client->Feed(ends.server->TakeOutput()));
  ASSERT_TRUE(ends.client->handshake_done());
  ASSERT_OK(ends.client->Write("let me in"));
  EXPECT_FALSE(ends.server->Feed(ends.client->TakeOutput()).ok());
  EXPECT_EQ(ends.server->TakePlaintext(), "");
}

TEST(TlsTest, TheSignersErrorIsTheHandshakes) {
  Parties parties = GoodParties();
  parties.client->signer =
      std::make_shared<BrokenSigner>(parties.client->chain.front().public_key());
  Ends ends = Shake(parties);
  EXPECT_THAT(ends.client_status,
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("the tpm is on fire")));
  EXPECT_FALSE(ends.server->handshake_done());
}

TEST(TlsTest, AnIdentityOfTwoKeysIsRefused) {
  TlsIdentity identity = GoodParties().server;
  identity.signer = Ca().IssueSvid(TestId(kServer)).key;
  EXPECT_THAT(TlsConnection::CreateServer(
                  {.identity = identity, .verify_client = VerifierOf(Ca().Bundle(), kClient)}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not of the signer's key")));
  EXPECT_FALSE(TlsConnection::CreateClient({.identity = nullptr, .verify_server = nullptr}).ok());
}

TEST(TlsTest, BytesMayArriveOneByOne) {
  const Parties parties = GoodParties();
  Ends ends = Shake(parties);
  ASSERT_OK(ends.client->Write("drop by drop"));
  for (char byte : ends.client->TakeOutput()) {
    ASSERT_OK(ends.server->Feed({&byte, 1}));
  }
  EXPECT_EQ(ends.server->TakePlaintext(), "drop by drop");
}

TEST(TlsTest, AnEndInOrderIsSeen) {
  Ends ends = Shake(GoodParties());
  ASSERT_TRUE(ends.done());
  ASSERT_OK(ends.client->Write("last words"));
  ends.client->Close();
  ends.Exchange();
  EXPECT_OK(ends.server_status);
  EXPECT_EQ(ends.server->TakePlaintext(), "last words");
  EXPECT_TRUE(ends.server->peer_closed());
  EXPECT_FALSE(ends.client->peer_closed());
}

TEST(TlsTest, GarbageIsAnErrorAndNothingMore) {
  for (std::string_view garbage : {std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                                   std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                                   std::string_view("\x16\x03\x01\xff\xff\x01\x00\xff\xff", 9),
                                   std::string_view("\0\0\0\0\0\0", 6)}) {
    Ends ends;
    const Parties parties = GoodParties();
    ends.server =
        TlsConnection::CreateServer({.identity = parties.server,
                                     .verify_client = VerifierOf(parties.server_bundle, kClient)})
            .value();
    ends.server_status = ends.server->Feed(garbage);
    EXPECT_FALSE(ends.server_status.ok());
    EXPECT_FALSE(ends.server->handshake_done());
    EXPECT_EQ(ends.server->Feed("x"), ends.server_status);
  }
}

TEST(TlsTest, ARecordThatWasTamperedWithEndsTheConnection) {
  Ends ends = Shake(GoodParties());
  ASSERT_TRUE(ends.done());
  ASSERT_OK(ends.client->Write("hello"));
  std::string bytes = ends.client->TakeOutput();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  EXPECT_FALSE(ends.server->Feed(bytes).ok());
  EXPECT_EQ(ends.server->TakePlaintext(), "");
}

// The named group and the cipher suites that a ClientHello offers, in order.
TEST(TlsTest, TheClientOffersX25519AndChaChaFirst) {
  const auto client =
      TlsConnection::CreateClient(
          {.identity = nullptr, .verify_server = VerifierOf(Ca().Bundle(), kServer)})
          .value();
  ASSERT_OK(client->Start());
  const std::string hello = client->TakeOutput();
  // After record and handshake headers, version and random: the session id, then the suites.
  size_t at = 5 + 4 + 2 + 32;
  at += 1 + static_cast<unsigned char>(hello.at(at));
  EXPECT_EQ(hello.substr(at, 8), std::string("\x00\x06\x13\x03\x13\x02\x13\x01", 8));
  // supported_groups: X25519, P-256, P-384; key_share: X25519 alone; ALPN: h2 alone.
  EXPECT_NE(hello.find(std::string("\x00\x0a\x00\x08\x00\x06\x00\x1d\x00\x17\x00\x18", 12)),
            std::string::npos);
  EXPECT_NE(hello.find(std::string("\x00\x33\x00\x26\x00\x24\x00\x1d\x00\x20", 10)),
            std::string::npos);
  EXPECT_NE(hello.find(std::string("\x00\x10\x00\x05\x00\x03\x02h2", 9)), std::string::npos);
  // supported_versions: TLS 1.3 alone.
  EXPECT_NE(hello.find(std::string("\x00\x2b\x00\x03\x02\x03\x04", 7)), std::string::npos);
  // No pre-shared key (41), early data (42) or session ticket (35).
}

TEST(TlsTest, PostQuantumKeyExchangeIsThereOrSaidNotToBe) {
  const auto client = TlsConnection::CreateClient(
      {.verify_server = [](const std::vector<Certificate>&) { return absl::OkStatus(); },
       .require_post_quantum = true});
  if (HasPostQuantum()) {
    EXPECT_OK(client);
  } else {
    EXPECT_THAT(client, StatusIs(StatusCode::kFailedPrecondition, HasSubstr("ML-KEM")));
    EXPECT_FALSE(CheckPostQuantum().ok());
  }
}

}  // namespace
}  // namespace assay::crypto
