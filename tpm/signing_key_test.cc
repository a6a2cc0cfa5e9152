// SPDX-License-Identifier: GPL-3.0-or-later
// Keys of CreateKey: what signs CSRs and TLS handshakes.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "crypto/issue.h"
#include "crypto/tls.h"
#include "tests/support/software_tpm.h"
#include "tests/support/status_matchers.h"
#include "tpm/lazy_tpm.h"
#include "tpm/structures.h"
#include "tpm/tpm.h"

namespace assay::tpm {
namespace {

using absl::StatusCode;
using crypto::Certificate;
using crypto::Hash;
using crypto::KeyType;
using crypto::TlsConnection;
using testing::HasSubstr;
using Kind = crypto::SignatureScheme::Kind;

std::unique_ptr<Tpm> Open(const SoftwareTpm& software) {
  return Tpm::Open({.device = software.socket()}).value();
}

// A self-signed certificate of the signer's key, made by its signature.
absl::StatusOr<Certificate> SelfSigned(const crypto::Signer& signer) {
  const crypto::CertificateTemplate what{.serial = crypto::RandomSerial(),
                                         .subject = {{"CN", "agent"}},
                                         .not_before = absl::Now() - absl::Hours(1),
                                         .not_after = absl::Now() + absl::Hours(1),
                                         .uris = {"spiffe://d.test/spire/agent/1"},
                                         .dns_names = {},
                                         .is_ca = false,
                                         .key_usage = crypto::kDigitalSignature,
                                         .extended_key_usage = {std::string(crypto::kClientAuth)}};
  ASSIGN_OR_RETURN(const std::string der,
                   crypto::IssueCertificate(what, signer.public_key(), nullptr, signer));
  return Certificate::Parse(der);
}

absl::Status AcceptAny(const std::vector<Certificate>&) { return absl::OkStatus(); }

// The client's identity as the server saw it.
absl::StatusOr<std::vector<Certificate>> Handshake(const crypto::TlsIdentity& client_identity) {
  std::shared_ptr<const crypto::Signer> server_key =
      crypto::PrivateKey::Generate(KeyType::kEcP256).value();
  const std::vector<Certificate> server_chain = {SelfSigned(*server_key).value()};
  const auto client =
      TlsConnection::CreateClient({.identity = &client_identity, .verify_server = AcceptAny})
          .value();
  const auto server =
      TlsConnection::CreateServer(
          {.identity = {.chain = server_chain, .signer = server_key}, .verify_client = AcceptAny})
          .value();
  RETURN_IF_ERROR(client->Start());
  for (int flight = 0; flight < 4 && !server->handshake_done(); ++flight) {
    RETURN_IF_ERROR(server->Feed(client->TakeOutput()));
    RETURN_IF_ERROR(client->Feed(server->TakeOutput()));
  }
  return server->peer_chain();
}

class SigningKeyTest : public testing::TestWithParam<KeyType> {};

TEST_P(SigningKeyTest, SignsRequestsAndHandshakesInsideTheTpm) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const absl::StatusOr<KeyBlobs> key = tpm->CreateKey(GetParam(), {});
  ASSERT_OK(key);
  EXPECT_OK(tpm->CheckKey(*key, {}));
  const PublicArea area = PublicArea::Parse(key->public_area).value();
  EXPECT_TRUE(area.attributes & kNoDa);
  EXPECT_TRUE(area.attributes & kFixedTpm);
  EXPECT_FALSE(area.attributes & kRestricted);

  const std::shared_ptr<const crypto::Signer> signer = MakeKeySigner(*tpm, *key, {}).value();
  const auto csr = crypto::MakeCertificateRequest(
      {.subject = {{"O", "SPIRE"}}, .uris = {}, .dns_names = {}}, *signer);
  ASSERT_OK(csr);
  EXPECT_OK(crypto::CertificateRequest::Parse(*csr)->self_signature);
  const absl::StatusOr<Certificate> certificate = SelfSigned(*signer);
  ASSERT_OK(certificate);
  const auto seen = Handshake({.chain = {*certificate}, .signer = signer});
  ASSERT_OK(seen);
  ASSERT_EQ(seen->size(), 1);
  EXPECT_EQ(seen->front().public_key(), signer->public_key());
  EXPECT_EQ(software->CountHandles("handles-transient"), 0);
  EXPECT_EQ(software->CountHandles("handles-loaded-session"), 0);
}

INSTANTIATE_TEST_SUITE_P(KeyTypes, SigningKeyTest,
                         testing::Values(KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048));

TEST(SigningKeysTest, RefusesWhatAKeyCannotSign) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  EXPECT_THAT(tpm->CreateKey(KeyType::kRsa4096, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("rsa-4096")));
  const KeyBlobs key = tpm->CreateKey(KeyType::kEcP256, {}).value();
  const auto signer = MakeKeySigner(*tpm, key, {}).value();
  const std::string digest(32, 'd');
  EXPECT_OK(signer->SignDigest({Kind::kEcdsa, Hash::kSha256}, digest));
  EXPECT_THAT(signer->SignDigest({Kind::kEcdsa, Hash::kSha256}, "short"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("5 bytes")));
  EXPECT_THAT(signer->SignDigest({Kind::kRsaPss, Hash::kSha256}, digest),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("EC key")));
  EXPECT_THAT(signer->SignDigest({Kind::kEcdsa, Hash::kSha1}, std::string(20, 'd')),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("SHA-256")));
  EXPECT_FALSE(signer->SignDigest({Kind::kEcdsa, Hash::kSha384}, std::string(48, 'd')).ok());
  EXPECT_THAT(MakeKeySigner(*tpm, {.public_area = "x", .private_area = "x"}, {}),
              StatusIs(StatusCode::kInvalidArgument, testing::_));
}

TEST(SigningKeysTest, TheKeyOfAClearedTpmIsTold) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs key = tpm->CreateKey(KeyType::kEcP256, {}).value();
  const auto signer = MakeKeySigner(*tpm, key, {}).value();
  software->Restart();
  EXPECT_OK(tpm->CheckKey(key, {}));
  software->Run("tpm2_clear -Q -c p");
  EXPECT_THAT(tpm->CheckKey(key, {}),
              StatusIs(StatusCode::kAborted, HasSubstr("the TPM was cleared")));
  EXPECT_THAT(signer->SignDigest({Kind::kEcdsa, Hash::kSha256}, std::string(32, 'd')),
              StatusIs(StatusCode::kAborted, HasSubstr("the agent's key")));
}

TEST(SigningKeysTest, NoPasswordIsSentForAnOwnerWithoutOneAndAWrongOneIsTriedOnce) {
  ASSAY_SOFTWARE_TPM(software);
  software->Run("tpm2_changeauth -c owner owner-pw");
  const std::unique_ptr<Tpm> tpm = Open(*software);
  Passwords passwords;
  EXPECT_THAT(tpm->CreateKey(KeyType::kEcP256, passwords),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("owner hierarchy")));
  EXPECT_THAT(tpm->CreateKey(KeyType::kEcP256, passwords),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("not asked again")));
  passwords.owner = Secret("owner-pw");
  EXPECT_OK(tpm->CreateKey(KeyType::kEcP256, passwords));
}

TEST(LazyTpmTest, OpensOneTpmForAllAndTriesAgainWhenThereWasNone) {
  ASSAY_SOFTWARE_TPM(software);
  software->Stop();
  LazyTpm lazy({.device = software->socket()});
  EXPECT_THAT(lazy.Get(), StatusIs(StatusCode::kUnavailable, testing::_));
  software->Restart();
  const absl::StatusOr<Tpm*> opened = lazy.Get();
  ASSERT_OK(opened);
  EXPECT_EQ(lazy.Get().value(), *opened);
}

}  // namespace
}  // namespace assay::tpm
