// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/devid_verifier.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "crypto/digest.h"
#include "crypto/issuers.h"
#include "crypto/path_validation.h"
#include "tpm/structures.h"

namespace assay::tpm {
namespace {

using crypto::Certificate;
using Json = nlohmann::json;

// Ten times what the largest chains and keys need.
constexpr size_t kMaxPayloadBytes = 256 << 10;
constexpr size_t kMaxCertificates = 9;  // The leaf included.
constexpr size_t kNonceBytes = 32;
constexpr const char* kSubjectAlternativeName = "2.5.29.17";
constexpr std::string_view kEndorsementPurpose = "2.23.133.8.1";  // tcg-kp-EKCertificate

struct Payload {
  std::vector<std::string> devid_certificates;
  std::string devid_public, ek_certificate, ek_public, ak_public;
  std::string certified_devid, certification_signature;
};

// The same words under the code that this protocol has for a node's faults.
absl::Status Refused(std::string_view context, const absl::Status& status) {
  return status.ok() ? status : InvalidArgument("{}: {}", context, Message(status));
}

absl::StatusOr<Json> ParseObject(std::string_view text) {
  if (text.size() > kMaxPayloadBytes) {
    return InvalidArgument("{} bytes, wanted at most {}", text.size(), kMaxPayloadBytes);
  }
  Json parsed = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!parsed.is_object()) {
    return InvalidArgument("not a JSON object");
  }
  return parsed;
}

absl::StatusOr<std::string> DecodeBytes(const Json& value, std::string_view name) {
  if (!value.is_string()) {
    return InvalidArgument("{} is not a string", name);
  }
  return crypto::Base64Decode(value.get_ref<const std::string&>());
}

// A member's bytes; empty when it is absent or null.
absl::StatusOr<std::string> Bytes(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) {
    return std::string();
  }
  absl::StatusOr<std::string> bytes = DecodeBytes(*found, name);
  return bytes.ok() ? bytes : WithContext(bytes.status(), name);
}

absl::StatusOr<Payload> ParsePayload(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  Payload payload;
  const auto certificates = json.find("DevIDCert");
  if (certificates != json.end() && certificates->is_array()) {
    if (certificates->size() > kMaxCertificates) {
      return InvalidArgument("{} DevID certificates, wanted at most {}", certificates->size(),
                             kMaxCertificates);
    }
    for (const Json& certificate : *certificates) {
      ASSIGN_OR_RETURN(std::string der, DecodeBytes(certificate, "DevIDCert"));
      payload.devid_certificates.push_back(std::move(der));
    }
  }
  ASSIGN_OR_RETURN(payload.devid_public, Bytes(json, "DevIDPub"));
  ASSIGN_OR_RETURN(payload.ek_certificate, Bytes(json, "EKCert"));
  ASSIGN_OR_RETURN(payload.ek_public, Bytes(json, "EKPub"));
  ASSIGN_OR_RETURN(payload.ak_public, Bytes(json, "AKPub"));
  ASSIGN_OR_RETURN(payload.certified_devid, Bytes(json, "CertifiedDevID"));
  ASSIGN_OR_RETURN(payload.certification_signature, Bytes(json, "CertificationSignature"));
  return payload;
}

struct DevIdChain {
  Certificate leaf;
  std::vector<Certificate> intermediates;
};

absl::StatusOr<DevIdChain> VerifyDevIdCertificate(const Payload& payload,
                                                  const std::vector<Certificate>& devid_cas,
                                                  absl::Time now) {
  if (payload.devid_certificates.empty()) {
    return InvalidArgument("no DevID certificate to attest");
  }
  absl::StatusOr<Certificate> leaf = Certificate::Parse(payload.devid_certificates[0]);
  RETURN_IF_ERROR(Refused("unable to parse DevID certificate", leaf.status()));
  DevIdChain chain{.leaf = *std::move(leaf), .intermediates = {}};
  for (size_t i = 1; i < payload.devid_certificates.size(); ++i) {
    absl::StatusOr<Certificate> parsed = Certificate::Parse(payload.devid_certificates[i]);
    RETURN_IF_ERROR(Refused(fmt::format("unable to parse DevID intermediate certificate {}", i - 1),
                            parsed.status()));
    chain.intermediates.push_back(*std::move(parsed));
  }
  RETURN_IF_ERROR(Refused("unable to verify DevID signature: verification failed",
                          crypto::VerifyPath(chain.leaf, chain.intermediates, devid_cas,
                                             {.now = now, .tolerated_critical = {}})));
  return chain;
}

absl::Status CheckComplete(const Payload& payload) {
  const std::pair<const std::string&, std::string_view> needed[] = {
      {payload.ak_public, "attestation key public blob"},
      {payload.devid_public, "DevID key public blob"},
      {payload.ek_certificate, "endorsement certificate"},
      {payload.ek_public, "endorsement key public blob"}};
  for (const auto& [bytes, name] : needed) {
    if (bytes.empty()) {
      return InvalidArgument("missing {}", name);
    }
  }
  return absl::OkStatus();
}

struct Keys {
  PublicArea devid, ak, ek;
};

// That its issuer meant it for an endorsement key, which can decrypt and never sign. The key of any
// other certificate of that issuer may live in software (TCG EK Credential Profile 2.5 §3.2).
absl::Status CheckEndorsementPurpose(const Certificate& certificate) {
  const std::vector<std::string>& purposes = certificate.extended_key_usage();
  const bool is_named =
      std::find(purposes.begin(), purposes.end(), kEndorsementPurpose) != purposes.end();
  if (certificate.is_ca()) {
    return InvalidArgument("it is an authority's");
  }
  if (!purposes.empty() && !is_named) {
    return InvalidArgument("its extended key usage lacks {}", kEndorsementPurpose);
  }
  if (!certificate.key_usage().has_value()) {
    return is_named ? absl::OkStatus() : InvalidArgument("it has neither kind of key usage");
  }
  const unsigned usage = *certificate.key_usage();
  if ((usage & crypto::kKeyEncipherment) == 0 || (usage & crypto::kDigitalSignature) != 0) {
    return InvalidArgument("its key usage is not that of a key that only decrypts");
  }
  return absl::OkStatus();
}

absl::Status VerifyEndorsement(const Certificate& certificate, const PublicArea& ek,
                               const std::vector<Certificate>& cas, absl::Time now) {
  constexpr std::string_view kDiffers =
      "public key in EK certificate differs from public key created via EK template";
  const absl::StatusOr<crypto::PublicKey> key = ek.Key();
  RETURN_IF_ERROR(Refused(kDiffers, key.status()));
  if (!certificate.public_key().is_rsa()) {
    return InvalidArgument("{}: key from certificate is not an RSA key", kDiffers);
  }
  if (certificate.public_key() != *key) {
    return InvalidArgument("{}: modulus or exponent mismatch", kDiffers);
  }
  RETURN_IF_ERROR(CheckEkTemplate(ek));
  RETURN_IF_ERROR(Refused("the certificate is not an endorsement certificate",
                          CheckEndorsementPurpose(certificate)));
  return Refused("cannot verify EK signature: endorsement certificate verification failed",
                 crypto::VerifyPath(certificate, {}, cas,
                                    {.now = now, .tolerated_critical = {kSubjectAlternativeName}}));
}

// That the attestation key, which lives in a TPM, says the DevID key does too.
absl::Status VerifyCertification(const Payload& payload, const Keys& keys) {
  RETURN_IF_ERROR(CheckAkTemplate(keys.ak));
  RETURN_IF_ERROR(
      VerifyTpmSignature(keys.ak, payload.certified_devid, payload.certification_signature));
  ASSIGN_OR_RETURN(const CertifyInfo info, CertifyInfo::Parse(payload.certified_devid));
  ASSIGN_OR_RETURN(const std::string name, keys.devid.Name());
  if (info.certified_name != name) {
    return InvalidArgument("certify failed: the attestation is for another key");
  }
  return absl::OkStatus();
}

absl::StatusOr<Keys> VerifyResidency(const Payload& payload, const Certificate& devid,
                                     const std::vector<Certificate>& cas, absl::Time now) {
  RETURN_IF_ERROR(CheckComplete(payload));
  const absl::StatusOr<Certificate> certificate = Certificate::Parse(payload.ek_certificate);
  RETURN_IF_ERROR(Refused("cannot parse endorsement certificate", certificate.status()));
  absl::StatusOr<PublicArea> devid_key = PublicArea::Parse(payload.devid_public);
  RETURN_IF_ERROR(Refused("cannot decode DevID key public blob", devid_key.status()));
  absl::StatusOr<PublicArea> ak = PublicArea::Parse(payload.ak_public);
  RETURN_IF_ERROR(Refused("cannot decode attestation key public blob", ak.status()));
  absl::StatusOr<PublicArea> ek = PublicArea::Parse(payload.ek_public);
  RETURN_IF_ERROR(Refused("cannot decode endorsement key public blob", ek.status()));
  RETURN_IF_ERROR(VerifyEndorsement(*certificate, *ek, cas, now));
  Keys keys{.devid = *std::move(devid_key), .ak = *std::move(ak), .ek = *std::move(ek)};
  RETURN_IF_ERROR(Refused("cannot verify that DevID is in the same TPM than AK",
                          VerifyCertification(payload, keys)));
  RETURN_IF_ERROR(CheckDevIdTemplate(keys.devid));
  const absl::StatusOr<crypto::PublicKey> key = keys.devid.Key();
  RETURN_IF_ERROR(Refused("cannot use the DevID key", key.status()));
  if (*key != devid.public_key()) {
    return InvalidArgument("the DevID key is not the key of the DevID certificate");
  }
  return keys;
}

std::vector<std::string> SelectorsOf(const DevIdChain& chain,
                                     const std::vector<Certificate>& devid_cas, absl::Time now) {
  std::vector<std::string> selectors;
  if (!chain.leaf.subject_cn().empty()) {
    selectors.push_back("subject:cn:" + chain.leaf.subject_cn());
  }
  if (!chain.leaf.issuer_cn().empty()) {
    selectors.push_back("issuer:cn:" + chain.leaf.issuer_cn());
  }
  for (const Certificate& above :
       crypto::FindIssuers(chain.leaf, chain.intermediates, devid_cas, now)) {
    selectors.push_back("ca:fingerprint:" +
                        crypto::HexEncode(crypto::Digest(crypto::Hash::kSha1, above.der())));
  }
  return selectors;
}

}  // namespace

absl::StatusOr<DevIdSession> BeginVerification(std::string_view payload_text,
                                               const std::vector<Certificate>& devid_cas,
                                               const std::vector<Certificate>& endorsement_cas,
                                               absl::Time now) {
  const absl::StatusOr<Payload> payload = ParsePayload(payload_text);
  RETURN_IF_ERROR(Refused("unable to unmarshall attestation data", payload.status()));
  ASSIGN_OR_RETURN(const DevIdChain chain, VerifyDevIdCertificate(*payload, devid_cas, now));
  ASSIGN_OR_RETURN(const Keys keys, VerifyResidency(*payload, chain.leaf, endorsement_cas, now));
  ASSIGN_OR_RETURN(const std::string ak_name, keys.ak.Name());
  Secret credential = crypto::RandomSecret(kNonceBytes);
  const absl::StatusOr<Credential> made = MakeCredential(keys.ek, ak_name, credential.Reveal());
  if (!made.ok()) {
    return Internal("cannot generate credential activation challenge: {}", Message(made.status()));
  }
  std::string nonce = crypto::RandomBytes(kNonceBytes);
  const Json challenge = {{"DevID", crypto::Base64Encode(nonce)},
                          {"CredActivation",
                           {{"Credential", crypto::Base64Encode(made->credential)},
                            {"Secret", crypto::Base64Encode(made->encrypted_secret)}}}};
  return DevIdSession{.challenge = challenge.dump(),
                      .devid = chain.leaf,
                      .nonce = std::move(nonce),
                      .credential = std::move(credential),
                      .selectors = SelectorsOf(chain, devid_cas, now)};
}

absl::Status CheckResponse(const DevIdSession& session, std::string_view response) {
  using Kind = crypto::SignatureScheme::Kind;
  constexpr std::string_view kMalformed = "unable to unmarshall challenges response";
  const absl::StatusOr<Json> json = ParseObject(response);
  RETURN_IF_ERROR(Refused(kMalformed, json.status()));
  const absl::StatusOr<std::string> signature = Bytes(*json, "DevID");
  RETURN_IF_ERROR(Refused(kMalformed, signature.status()));
  const absl::StatusOr<std::string> activated = Bytes(*json, "CredActivation");
  RETURN_IF_ERROR(Refused(kMalformed, activated.status()));
  const crypto::PublicKey& key = session.devid.public_key();
  const crypto::SignatureScheme scheme{key.is_rsa() ? Kind::kRsaPkcs1 : Kind::kEcdsa,
                                       crypto::Hash::kSha256};
  RETURN_IF_ERROR(Refused("devID challenge verification failed",
                          key.Verify(scheme, session.nonce, *signature)));
  if (Secret(*activated) != session.credential) {
    return InvalidArgument("credential activation failed: nonces are different");
  }
  return absl::OkStatus();
}

}  // namespace assay::tpm
