// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/devid_verifier.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/issue.h"
#include "tests/support/software_tpm.h"
#include "tests/support/status_matchers.h"
#include "tpm/structures.h"
#include "tpm/tpm.h"
#include "tpm/wire.h"

namespace assay::tpm {
namespace {

using absl::StatusCode;
using crypto::Base64Encode;
using crypto::Certificate;
using crypto::KeyType;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

// An authority for DevIDs, self-signed or under another.
struct DevIdCa {
  std::unique_ptr<crypto::PrivateKey> key = crypto::PrivateKey::Generate(KeyType::kEcP256).value();
  std::optional<Certificate> certificate;

  explicit DevIdCa(const std::string& name, const DevIdCa* parent = nullptr) {
    certificate = Issue(name, key->public_key(), parent == nullptr ? *this : *parent, true);
  }
  static Certificate Issue(const std::string& name, const crypto::PublicKey& subject,
                           const DevIdCa& issuer, bool is_ca = false) {
    const crypto::CertificateTemplate what{
        .serial = crypto::RandomSerial(),
        .subject = {{name.empty() ? "O" : "CN", name.empty() ? "unnamed" : name}},
        .not_before = absl::Now() - absl::Hours(1),
        .not_after = absl::Now() + absl::Hours(1),
        .uris = {},
        .dns_names = {},
        .is_ca = is_ca,
        .key_usage = is_ca ? unsigned{crypto::kKeyCertSign} : unsigned{crypto::kDigitalSignature},
        .extended_key_usage = {}};
    const Certificate* above = issuer.certificate.has_value() ? &*issuer.certificate : nullptr;
    return Certificate::Parse(crypto::IssueCertificate(what, subject, above, *issuer.key).value())
        .value();
  }
};

std::string Decoded(const Json& payload, const char* name) {
  return crypto::Base64Decode(payload[name].get<std::string>()).value();
}

// A node with its TPM and DevID, and what a server is set up with to know it.
struct Node {
  explicit Node(const SoftwareTpm& software, KeyType type = KeyType::kEcP256)
      : tpm(Tpm::Open({.device = software.socket()}).value()),
        devid(tpm->CreateDevId(type, {}).value()),
        ak(tpm->CreateAk({}).value()),
        root("root"),
        certificate(
            DevIdCa::Issue("node 1", PublicArea::Parse(devid.public_area)->Key().value(), root)),
        endorsement_cas(
            Certificate::ParsePem(ReadFile(SoftwareTpm::EndorsementCa()).value()).value()) {
    payload = Payload(devid, {certificate.der()});
  }

  Json Payload(const KeyBlobs& key, const std::vector<std::string>& chain) const {
    const DevIdEvidence evidence = tpm->AttestDevId(key, ak, {}).value();
    Json json = {{"DevIDCert", Json::array()},
                 {"DevIDPub", Base64Encode(evidence.devid_public)},
                 {"EKCert", Base64Encode(evidence.ek_certificate)},
                 {"EKPub", Base64Encode(evidence.ek_public)},
                 {"AKPub", Base64Encode(evidence.ak_public)},
                 {"CertifiedDevID", Base64Encode(evidence.certified_devid)},
                 {"CertificationSignature", Base64Encode(evidence.certify_signature)}};
    for (const std::string& der : chain) {
      json["DevIDCert"].push_back(Base64Encode(der));
    }
    return json;
  }

  absl::StatusOr<DevIdSession> Begin(const Json& json) const {
    return BeginVerification(json.dump(), {*root.certificate}, endorsement_cas, absl::Now());
  }

  Json Answer(const std::string& text) const {
    const Json challenge = Json::parse(text);
    const Json& activation = challenge["CredActivation"];
    EXPECT_EQ(Decoded(challenge, "DevID").size(), 32);
    EXPECT_EQ(Decoded(activation, "Credential").size(), 68);
    EXPECT_EQ(Decoded(activation, "Secret").size(), 256);
    const std::string digest = crypto::Digest(crypto::Hash::kSha256, Decoded(challenge, "DevID"));
    return {{"DevID", Base64Encode(tpm->SignWithDevId(devid, digest, {}).value())},
            {"CredActivation",
             Base64Encode(tpm->ActivateCredential(ak, Decoded(activation, "Credential"),
                                                  Decoded(activation, "Secret"), {})
                              .value())}};
  }

  std::unique_ptr<Tpm> tpm;
  KeyBlobs devid, ak;
  DevIdCa root;
  Certificate certificate;
  std::vector<Certificate> endorsement_cas;
  Json payload;
};

class DevIdKeyTest : public testing::TestWithParam<KeyType> {};

TEST_P(DevIdKeyTest, AcceptsANodeThatProvesWhatItShows) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software, GetParam());
  const absl::StatusOr<DevIdSession> session = node.Begin(node.payload);
  ASSERT_OK(session);
  EXPECT_OK(CheckResponse(*session, node.Answer(session->challenge).dump()));
  const auto print = [](const Certificate& certificate) {
    return crypto::HexEncode(crypto::Digest(crypto::Hash::kSha1, certificate.der()));
  };
  EXPECT_EQ(session->devid, node.certificate);
  EXPECT_THAT(session->selectors,
              testing::ElementsAre("subject:cn:node 1", "issuer:cn:root",
                                   "ca:fingerprint:" + print(*node.root.certificate)));
}

INSTANTIATE_TEST_SUITE_P(Keys, DevIdKeyTest, testing::Values(KeyType::kEcP256, KeyType::kRsa2048));

TEST(DevIdVerifierTest, NamesEveryAuthorityOnThePathAndNoOther) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  const DevIdCa middle("middle", &node.root);
  const DevIdCa stray("stray", &node.root);
  const Certificate leaf =
      DevIdCa::Issue("", PublicArea::Parse(node.devid.public_area)->Key().value(), middle);
  Json payload = node.payload;
  payload["DevIDCert"] = {Base64Encode(leaf.der()), Base64Encode(stray.certificate->der()),
                          Base64Encode(middle.certificate->der())};
  const absl::StatusOr<DevIdSession> session = node.Begin(payload);
  ASSERT_OK(session);
  std::vector<std::string> wanted = {"issuer:cn:middle"};
  for (const DevIdCa* ca : {&middle, &node.root}) {
    wanted.push_back("ca:fingerprint:" + crypto::HexEncode(crypto::Digest(crypto::Hash::kSha1,
                                                                          ca->certificate->der())));
  }
  EXPECT_THAT(session->selectors, testing::ElementsAreArray(wanted));
}

// A change of one byte in a member that is base64.
std::function<void(Json&)> Flip(const char* name, size_t at) {
  return [=](Json& json) {
    std::string bytes = Decoded(json, name);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    json[name] = Base64Encode(bytes);
  };
}
std::function<void(Json&)> Set(const char* name, Json value) {
  return [=](Json& json) { json[name] = value; };
}
std::function<void(Json&)> Append(const char* name) {
  return [=](Json& json) { json[name] = Base64Encode(Decoded(json, name) + "x"); };
}
std::function<void(Json&)> Prefix(const char* name) {
  return [=](Json& json) { json[name] = Base64Encode(WireSized(Decoded(json, name))); };
}
std::function<void(Json&)> Cut(const char* name) {
  return [=](Json& json) { json[name] = Base64Encode(Decoded(json, name).substr(0, 40)); };
}

TEST(DevIdVerifierTest, RefusesEveryOtherPayload) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  const std::string leaf = Base64Encode(node.certificate.der());
  const Certificate ec_ek =
      DevIdCa::Issue("EK", DevIdCa("other").key->public_key(), node.root, false);
  const struct {
    std::function<void(Json&)> change;
    std::string_view words;
  } kChanges[] = {
      {[](Json& json) { json = Json::array(); }, "unmarshall"},
      {Set("DevIDCert", Json()), "no DevID certificate"},
      {Set("DevIDCert", Json::array()), "no DevID certificate"},
      {Set("DevIDCert", {"!"}), "unmarshall"},
      {Set("DevIDCert", {7}), "unmarshall"},
      {Set("DevIDCert", {"AAAA"}), "parse DevID certificate"},
      {Set("DevIDCert", {leaf, "AAAA"}), "DevID intermediate certificate 0"},
      {Set("DevIDCert", Json(10, leaf)), "at most 9"},
      {Set("DevIDCert", {Base64Encode(ec_ek.der())}), "not the key of the DevID certificate"},
      {Set("AKPub", 5), "unmarshall"},
      {Set("AKPub", Json()), "missing attestation key"},
      {Set("DevIDPub", ""), "missing DevID key"},
      {Set("EKCert", ""), "missing endorsement certificate"},
      {Set("EKPub", ""), "missing endorsement key"},
      {Append("EKCert"), "parse endorsement certificate"},
      {Cut("EKCert"), "parse endorsement certificate"},
      {Prefix("DevIDPub"), "decode DevID key"},
      {Append("DevIDPub"), "decode DevID key"},
      {Prefix("AKPub"), "decode attestation key"},
      {Cut("AKPub"), "decode attestation key"},
      {Cut("EKPub"), "decode endorsement key"},
      {Flip("EKPub", 200), "differs"},  // Modulus
      {Flip("EKPub", 7), "template"},   // Attributes
      {Set("EKCert", Base64Encode(ec_ek.der())), "not an RSA key"},
      {Flip("AKPub", 5), "attestation key"},             // Restricted
      {Flip("AKPub", 200), "cannot verify that DevID"},  // Modulus
      {Flip("CertificationSignature", 100), "cannot verify that DevID"},
      {Flip("CertificationSignature", 1), "cannot verify that DevID"},
      {Set("CertificationSignature", ""), "cannot verify that DevID"},
      {Flip("CertifiedDevID", 50), "cannot verify that DevID"},
      {Set("CertifiedDevID", ""), "cannot verify that DevID"},
      {Append("CertifiedDevID"), "cannot verify that DevID"},
      {Flip("DevIDPub", 7), "certify failed"},  // Attributes: another name
  };
  for (const auto& [change, words] : kChanges) {
    Json changed = node.payload;
    change(changed);
    EXPECT_THAT(node.Begin(changed),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(std::string(words))));
  }
  for (const std::string& text : {std::string(), std::string("{"), std::string(1 << 20, '[')}) {
    EXPECT_THAT(
        BeginVerification(text, {*node.root.certificate}, node.endorsement_cas, absl::Now()),
        StatusIs(StatusCode::kInvalidArgument, HasSubstr("unmarshall")));
  }
}

TEST(DevIdVerifierTest, RefusesAuthoritiesThatItWasNotGiven) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  const DevIdCa other("root");
  const std::string payload = node.payload.dump();
  EXPECT_THAT(
      BeginVerification(payload, {*other.certificate}, node.endorsement_cas, absl::Now()),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("unable to verify DevID signature")));
  EXPECT_THAT(BeginVerification(payload, {}, node.endorsement_cas, absl::Now()),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("DevID signature")));
  EXPECT_THAT(
      BeginVerification(payload, {*node.root.certificate}, {*other.certificate}, absl::Now()),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("cannot verify EK signature")));
  EXPECT_THAT(BeginVerification(payload, {*node.root.certificate}, {}, absl::Now()),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cannot verify EK signature")));
  EXPECT_THAT(BeginVerification(payload, {*node.root.certificate}, node.endorsement_cas,
                                absl::Now() + absl::Hours(2)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("expired")));
}

TEST(DevIdVerifierTest, RefusesACertificateThatIsNotAnEndorsementCertificate) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  const DevIdCa lab("lab");
  const Certificate good = Certificate::Parse(Decoded(node.payload, "EKCert")).value();
  for (const bool is_ca : {false, true}) {
    Json json = node.payload;
    json["EKCert"] = Base64Encode(DevIdCa::Issue("ek", good.public_key(), lab, is_ca).der());
    EXPECT_THAT(
        BeginVerification(json.dump(), {*node.root.certificate}, {*lab.certificate}, absl::Now()),
        StatusIs(StatusCode::kInvalidArgument, HasSubstr("not an endorsement certificate")));
  }
}

TEST(DevIdVerifierTest, RefusesACertificateForAnotherKeyOfTheSameTpm) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  const KeyBlobs second = node.tpm->CreateDevId(KeyType::kEcP256, {}).value();
  EXPECT_THAT(
      node.Begin(node.Payload(second, {node.certificate.der()})),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("not the key of the DevID certificate")));
  // The same attestation, shown for the key of the certificate.
  Json payload = node.Payload(second, {node.certificate.der()});
  payload["DevIDPub"] = node.payload["DevIDPub"];
  EXPECT_THAT(node.Begin(payload),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("certify failed")));
}

// What somebody without the TPM can do: an attestation key in software, which says of itself that
// it is restricted, and certifies anything.
Json Forge(const Node& node, uint32_t devid_attributes) {
  const auto key = crypto::PrivateKey::Generate(KeyType::kRsa2048).value();
  std::string ak = Decoded(node.payload, "AKPub");
  ak.replace(ak.size() - 256, 256, key->public_key().rsa_modulus());
  std::string devid = Decoded(node.payload, "DevIDPub");
  devid.replace(4, 4, WireU32(devid_attributes));
  const std::string attest = WireU32(0xff544347) + WireU16(0x8017) + WireSized("signer") +
                             WireSized("") + std::string(25, '\0') +
                             WireSized(PublicArea::Parse(devid)->Name().value()) + WireSized("");
  const crypto::SignatureScheme scheme{crypto::SignatureScheme::Kind::kRsaPkcs1,
                                       crypto::Hash::kSha256};
  const std::string signature =
      WireU16(0x0014) + WireU16(0x000b) + WireSized(Sign(*key, scheme, attest).value());
  Json payload = node.payload;
  payload["AKPub"] = Base64Encode(ak);
  payload["DevIDPub"] = Base64Encode(devid);
  payload["CertifiedDevID"] = Base64Encode(attest);
  payload["CertificationSignature"] = Base64Encode(signature);
  return payload;
}

TEST(DevIdVerifierTest, RefusesADevIdKeyThatMayLeaveItsTpm) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  for (const uint32_t attributes : {0x00040070u, 0x00040062u, 0x00050072u, 0x00060072u}) {
    EXPECT_THAT(node.Begin(Forge(node, attributes)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("made in its TPM")));
  }
}

TEST(DevIdVerifierTest, GivesAForgedAttestationKeyACredentialThatTheTpmWillNotRead) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  const absl::StatusOr<DevIdSession> session = node.Begin(Forge(node, 0x00040472));
  ASSERT_OK(session);
  const Json activation = Json::parse(session->challenge)["CredActivation"];
  EXPECT_THAT(node.tpm->ActivateCredential(node.ak, Decoded(activation, "Credential"),
                                           Decoded(activation, "Secret"), {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not made for this TPM")));
}

TEST(DevIdVerifierTest, RefusesEveryOtherResponse) {
  ASSAY_SOFTWARE_TPM(software);
  const Node node(*software);
  const DevIdSession session = node.Begin(node.payload).value();
  const DevIdSession another = node.Begin(node.payload).value();
  const Json good = node.Answer(session.challenge);
  const Json stale = node.Answer(another.challenge);
  ASSERT_OK(CheckResponse(session, good.dump()));
  const struct {
    std::function<void(Json&)> change;
    std::string_view words;
  } kChanges[] = {
      {[](Json& json) { json = 5; }, "unmarshall"},
      {Set("DevID", 5), "unmarshall"},
      {Set("CredActivation", "!"), "unmarshall"},
      {Set("DevID", ""), "devID challenge verification failed"},
      {Set("DevID", stale["DevID"]), "devID challenge verification failed"},
      {Flip("DevID", 20), "devID challenge verification failed"},
      {Set("CredActivation", ""), "credential activation failed"},
      {Set("CredActivation", stale["CredActivation"]), "credential activation failed"},
      {Flip("CredActivation", 31), "credential activation failed"},
      {Append("CredActivation"), "credential activation failed"},
  };
  for (const auto& [change, words] : kChanges) {
    Json changed = good;
    change(changed);
    EXPECT_THAT(CheckResponse(session, changed.dump()),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(std::string(words))));
  }
  EXPECT_THAT(CheckResponse(session, ""), Not(IsOk()));
  EXPECT_THAT(CheckResponse(another, good.dump()), Not(IsOk()));
}

}  // namespace
}  // namespace assay::tpm
