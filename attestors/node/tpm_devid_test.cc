// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/tpm_devid.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "attestors/node/devid_provision.h"
#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/issue.h"
#include "crypto/pem.h"
#include "tests/support/software_tpm.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tpm/devid_verifier.h"
#include "tpm/key_file.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::Certificate;
using crypto::KeyType;
using testing::HasSubstr;
using Json = nlohmann::json;

// Whoever runs the DevID authority.
class DevIdAuthority {
 public:
  DevIdAuthority() : certificate_(Issue("DevID CA", key_->public_key(), true)) {}
  const Certificate& certificate() const { return *certificate_; }
  // PEM of a certificate for what the request of this file asks.
  std::string Sign(const std::string& request_path) const {
    const std::string pem = ReadFile(request_path).value();
    const crypto::PemBlock block = crypto::ParsePem(pem).value().front();
    EXPECT_EQ(block.label, "CERTIFICATE REQUEST");
    const crypto::CertificateRequest request = crypto::CertificateRequest::Parse(block.der).value();
    EXPECT_OK(request.self_signature);
    return crypto::PemEncode(
        "CERTIFICATE", Issue(request.subject.front().second, request.public_key, false).der());
  }

 private:
  Certificate Issue(const std::string& name, const crypto::PublicKey& subject, bool is_ca) const {
    const crypto::CertificateTemplate what{
        .serial = crypto::RandomSerial(),
        .subject = {{"CN", name}},
        .not_before = absl::Now() - absl::Hours(1),
        .not_after = absl::Now() + absl::Hours(1),
        .uris = {},
        .dns_names = {},
        .is_ca = is_ca,
        .key_usage = is_ca ? unsigned{crypto::kKeyCertSign} : unsigned{crypto::kDigitalSignature},
        .extended_key_usage = {}};
    return Certificate::Parse(
               crypto::IssueCertificate(what, subject, is_ca ? nullptr : &*certificate_, *key_)
                   .value())
        .value();
  }

  const std::unique_ptr<crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(KeyType::kEcP256).value();
  std::optional<Certificate> certificate_;
};

// A folder with a DevID of this TPM, as an operator provisions it.
class Provisioned {
 public:
  explicit Provisioned(const SoftwareTpm& software, KeyType type = KeyType::kEcP256,
                       const std::string& password = "")
      : device_(software.socket()), password_(password) {
    const auto tpm = tpm::Tpm::Open({.device = device_}).value();
    EXPECT_OK(CreateDevIdKey(*tpm, Request(type)));
    const std::string signed_path = folder_.path() + "/signed.pem";
    EXPECT_OK(WriteFileAtomically(signed_path, authority_.Sign(files().request), 0600));
    EXPECT_OK(InstallDevIdCertificate(folder(), signed_path));
  }

  std::string folder() const { return folder_.path() + "/devid"; }
  DevIdFiles files() const { return DevIdFiles::In(folder()); }
  std::string ak_cache() const { return folder_.path() + "/ak"; }
  const DevIdAuthority& authority() const { return authority_; }

  DevIdRequest Request(KeyType type) const {
    DevIdRequest request{
        .folder = folder(), .key_type = type, .common_name = "n1", .passwords = {}};
    request.passwords.devid = Secret(password_);
    return request;
  }
  // Passwords that were refused are kept in this file.
  std::shared_ptr<tpm::LazyTpm> MakeTpm(const std::string& refused_path = "") const {
    return std::make_shared<tpm::LazyTpm>(
        tpm::Tpm::Options{.device = device_, .refused_passwords_path = refused_path});
  }
  TpmDevIdOptions Options() const {
    return {.tpm = MakeTpm(),
            .devid_cert_path = files().certificate,
            .devid_priv_path = files().private_blob,
            .devid_pub_path = files().public_blob,
            .devid_password = Secret(password_),
            .owner_hierarchy_password = {},
            .endorsement_hierarchy_password = {},
            .ak_cache_path = ak_cache()};
  }
  // What a server says of an attestation.
  absl::Status Verify(NodeAttestation& attestation) const {
    ASSIGN_OR_RETURN(const Secret payload, attestation.Payload());
    const auto endorsement_cas =
        Certificate::ParsePem(ReadFile(SoftwareTpm::EndorsementCa()).value()).value();
    ASSIGN_OR_RETURN(const tpm::DevIdSession session,
                     tpm::BeginVerification(payload.Reveal(), {authority_.certificate()},
                                            endorsement_cas, absl::Now()));
    ASSIGN_OR_RETURN(const std::string answer, attestation.Answer(session.challenge));
    return tpm::CheckResponse(session, answer);
  }

 private:
  TempFolder folder_;
  const std::string device_, password_;
  const DevIdAuthority authority_;
};

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class TpmDevIdKeyTest : public testing::TestWithParam<std::tuple<KeyType, std::string>> {};

TEST_P(TpmDevIdKeyTest, AttestsWithWhatProvisioningMade) {
  ASSAY_SOFTWARE_TPM(software);
  const auto& [type, password] = GetParam();
  const Provisioned node(*software, type, password);
  const auto attestor = TpmDevIdAttestor::Create(node.Options()).value();
  EXPECT_EQ(attestor->type(), "tpm_devid");
  for (int i = 0; i < 2; ++i) {
    const auto attestation = attestor->Begin();
    ASSERT_OK(attestation);
    EXPECT_OK(node.Verify(**attestation));
  }
}

INSTANTIATE_TEST_SUITE_P(KeysAndPasswords, TpmDevIdKeyTest,
                         testing::Combine(testing::Values(KeyType::kEcP256, KeyType::kRsa2048),
                                          testing::Values("", "hunter2")));

TEST(TpmDevIdTest, SendsTheMembersOfTheWire) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  const auto attestor = TpmDevIdAttestor::Create(node.Options()).value();
  const Secret payload = attestor->Begin().value()->Payload().value();
  const Json json = Json::parse(payload.Reveal());
  std::vector<std::string> names;
  for (const auto& [name, value] : json.items()) {
    names.push_back(name);
  }
  EXPECT_THAT(names,
              testing::UnorderedElementsAre("DevIDCert", "DevIDPub", "EKCert", "EKPub", "AKPub",
                                            "CertifiedDevID", "CertificationSignature"));
  EXPECT_EQ(json["DevIDCert"].size(), 1);
}

TEST(TpmDevIdTest, KeepsTheAttestationKeyAndMakesAnotherWhenTheTpmRefusesIt) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  const auto attestor = TpmDevIdAttestor::Create(node.Options()).value();
  ASSERT_OK(node.Verify(*attestor->Begin().value()));
  const std::string kept = ReadFile(node.ak_cache()).value();
  EXPECT_EQ(ModeOf(node.ak_cache()), 0600);
  ASSERT_OK(node.Verify(*attestor->Begin().value()));
  EXPECT_EQ(ReadFile(node.ak_cache()).value(), kept);

  // Of another TPM, and no key at all.
  tpm::KeyBlobs foreign = tpm::LoadKeyFile(node.ak_cache())->front();
  foreign.private_area[50] ^= 1;
  ASSERT_OK(tpm::SaveKeyFile(node.ak_cache(), {foreign}));
  EXPECT_OK(node.Verify(*attestor->Begin().value()));
  EXPECT_NE(tpm::LoadKeyFile(node.ak_cache())->front().private_area, foreign.private_area);
  ASSERT_OK(WriteFileAtomically(node.ak_cache(), "damaged", 0600));
  EXPECT_OK(node.Verify(*attestor->Begin().value()));
  EXPECT_OK(tpm::LoadKeyFile(node.ak_cache()));
}

TEST(TpmDevIdTest, AttestsThoughTheAttestationKeyCannotBeKept) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  TpmDevIdOptions options = node.Options();
  options.ak_cache_path = "/nonexistent/ak";
  const auto attestor = TpmDevIdAttestor::Create(std::move(options)).value();
  EXPECT_OK(node.Verify(*attestor->Begin().value()));
}

TEST(TpmDevIdTest, RefusesAChallengeThatIsNone) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  const auto attestor = TpmDevIdAttestor::Create(node.Options()).value();
  const auto attestation = attestor->Begin().value();
  EXPECT_THAT(attestation->Answer("{}"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("before")));
  ASSERT_OK(attestation->Payload());
  const std::string nonce = crypto::Base64Encode(std::string(32, 'n'));
  const std::string blob = crypto::Base64Encode(std::string(68, 'b'));
  const auto challenge = [&](const Json& devid, const Json& activation) {
    return Json{{"DevID", devid}, {"CredActivation", activation}}.dump();
  };
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string(100000, '{'), challenge(5, Json()),
        challenge(nonce, Json()), challenge(nonce, {{"Credential", blob}}),
        challenge("", {{"Credential", blob}, {"Secret", blob}}),
        challenge("!", {{"Credential", blob}, {"Secret", blob}}),
        challenge(nonce, {{"Credential", blob}, {"Secret", blob}}),
        // Long enough to be a certificate request, or a TLS transcript.
        challenge(crypto::Base64Encode(std::string(65, 'n')),
                  {{"Credential", blob}, {"Secret", blob}})}) {
    EXPECT_THAT(attestation->Answer(bad), StatusIs(StatusCode::kInvalidArgument, testing::_))
        << bad.substr(0, 200);
  }
}

TEST(TpmDevIdTest, SaysThatAPasswordIsTheOperatorsToMend) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software, KeyType::kEcP256, "right");
  TpmDevIdOptions options = node.Options();
  options.devid_password = Secret("wrong");
  const auto attestor = TpmDevIdAttestor::Create(std::move(options)).value();
  for (const char* words : {"wrong password", "not asked again"}) {
    EXPECT_THAT(attestor->Begin().value()->Payload(),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr(words)));
  }
}

TEST(TpmDevIdTest, AnAgentThatIsStartedAgainAndAgainDoesNotLockTheTpm) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software, KeyType::kEcP256, "right");
  const TempFolder folder;
  for (const char* words : {"wrong password", "not asked again", "not asked again"}) {
    TpmDevIdOptions options = node.Options();
    options.devid_password = Secret("wrong");
    options.tpm = node.MakeTpm(folder.path() + "/refused");
    const auto attestor = TpmDevIdAttestor::Create(std::move(options)).value();
    EXPECT_THAT(attestor->Begin().value()->Payload(),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr(words)));
  }
}

TEST(TpmDevIdTest, SaysThatFilesAreMissingOrDoNotBelongTogether) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  const Provisioned other(*software);
  const auto create = [&](std::string TpmDevIdOptions::*path, const std::string& value) {
    TpmDevIdOptions options = node.Options();
    options.*path = value;
    return TpmDevIdAttestor::Create(std::move(options)).status();
  };
  for (const auto path : {&TpmDevIdOptions::devid_cert_path, &TpmDevIdOptions::devid_priv_path,
                          &TpmDevIdOptions::devid_pub_path}) {
    EXPECT_THAT(create(path, "/nonexistent/x"),
                StatusIs(StatusCode::kNotFound, HasSubstr("/nonexistent/x")));
  }
  EXPECT_THAT(create(&TpmDevIdOptions::devid_cert_path, other.files().certificate),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("is not for the key")));
  EXPECT_THAT(create(&TpmDevIdOptions::devid_cert_path, node.files().public_blob),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(node.files().public_blob)));
  EXPECT_THAT(create(&TpmDevIdOptions::devid_pub_path, node.files().private_blob),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(node.files().private_blob)));
}

TEST(DevIdProvisionTest, WritesFilesThatOnlyTheirOwnerReads) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  for (const std::string& path : {node.files().certificate, node.files().private_blob,
                                  node.files().public_blob, node.files().request}) {
    EXPECT_EQ(ModeOf(path), 0600) << path;
  }
  EXPECT_EQ(ModeOf(node.folder()), 0755);
}

TEST(DevIdProvisionTest, NeverReplacesAKey) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  const std::string before = ReadFile(node.files().private_blob).value();
  const auto tpm = tpm::Tpm::Open({.device = software->socket()}).value();
  EXPECT_THAT(CreateDevIdKey(*tpm, node.Request(KeyType::kEcP256)),
              StatusIs(StatusCode::kAlreadyExists, HasSubstr("devid.priv.blob")));
  EXPECT_EQ(ReadFile(node.files().private_blob).value(), before);
}

TEST(DevIdProvisionTest, RefusesKeysAndSubjectsThatADevIdCannotHave) {
  ASSAY_SOFTWARE_TPM(software);
  const TempFolder folder;
  const auto tpm = tpm::Tpm::Open({.device = software->socket()}).value();
  EXPECT_THAT(CreateDevIdKey(*tpm, {.folder = folder.path(),
                                    .key_type = KeyType::kEcP384,
                                    .common_name = "n",
                                    .passwords = {}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("ec-p384")));
  EXPECT_THAT(CreateDevIdKey(*tpm, {.folder = folder.path(), .common_name = "", .passwords = {}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("common name")));
}

TEST(DevIdProvisionTest, InstallsOnlyTheCertificateOfItsKey) {
  ASSAY_SOFTWARE_TPM(software);
  const Provisioned node(*software);
  const Provisioned other(*software);
  const std::string before = ReadFile(node.files().certificate).value();
  EXPECT_THAT(InstallDevIdCertificate(node.folder(), other.files().certificate),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("is not for the key")));
  EXPECT_THAT(InstallDevIdCertificate(node.folder(), node.files().request),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(node.files().request)));
  EXPECT_THAT(InstallDevIdCertificate(node.folder(), "/nonexistent/c"),
              StatusIs(StatusCode::kNotFound, HasSubstr("/nonexistent/c")));
  EXPECT_EQ(ReadFile(node.files().certificate).value(), before);
}

}  // namespace
}  // namespace assay
