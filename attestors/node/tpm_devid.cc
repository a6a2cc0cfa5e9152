// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/tpm_devid.h"

#include <nlohmann/json.hpp>

#include "attestors/node/operator_error.h"
#include "base/files.h"
#include "base/log.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "tpm/key_file.h"
#include "tpm/structures.h"

namespace assay {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxBlobBytes = 4096;
constexpr size_t kMaxChallengeBytes = 64 << 10;
// A nonce is 32 bytes. What the DevID key signs must never be long enough to be something else: a
// certificate request, or the transcript of a TLS handshake.
constexpr size_t kMaxNonceBytes = 64;

// The bytes of a member; absent, empty, or no base64 is InvalidArgument.
absl::StatusOr<std::string> Bytes(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    return InvalidArgument("the challenge has no {}", name);
  }
  absl::StatusOr<std::string> bytes = crypto::Base64Decode(found->get_ref<const std::string&>());
  if (!bytes.ok() || bytes->empty()) {
    return InvalidArgument("the challenge's {} is empty or not base64", name);
  }
  return bytes;
}

struct Challenge {
  std::string nonce, credential, secret;
};

absl::StatusOr<Challenge> ParseChallenge(std::string_view text) {
  if (text.size() > kMaxChallengeBytes) {
    return InvalidArgument("the challenge has {} bytes, wanted at most {}", text.size(),
                           kMaxChallengeBytes);
  }
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) {
    return InvalidArgument("the challenge is not a JSON object");
  }
  Challenge challenge;
  ASSIGN_OR_RETURN(challenge.nonce, Bytes(json, "DevID"));
  if (challenge.nonce.size() > kMaxNonceBytes) {
    return InvalidArgument("the challenge's DevID nonce has {} bytes, wanted at most {}",
                           challenge.nonce.size(), kMaxNonceBytes);
  }
  const auto activation = json.find("CredActivation");
  if (activation == json.end() || !activation->is_object()) {
    return InvalidArgument("the challenge has no CredActivation");
  }
  ASSIGN_OR_RETURN(challenge.credential, Bytes(*activation, "Credential"));
  ASSIGN_OR_RETURN(challenge.secret, Bytes(*activation, "Secret"));
  return challenge;
}

}  // namespace

class TpmDevIdAttestation final : public NodeAttestation {
 public:
  TpmDevIdAttestation(TpmDevIdAttestor& attestor, tpm::Tpm& tpm) : attestor_(attestor), tpm_(tpm) {}

  absl::StatusOr<Secret> Payload() override {
    absl::StatusOr<tpm::DevIdEvidence> evidence = Attest();
    RETURN_IF_ERROR(ForOperator(evidence.status()));
    Json chain = Json::array();
    for (const std::string& der : attestor_.identity_.chain) {
      chain.push_back(crypto::Base64Encode(der));
    }
    const Json payload = {
        {"DevIDCert", std::move(chain)},
        {"DevIDPub", crypto::Base64Encode(evidence->devid_public)},
        {"EKCert", crypto::Base64Encode(evidence->ek_certificate)},
        {"EKPub", crypto::Base64Encode(evidence->ek_public)},
        {"AKPub", crypto::Base64Encode(evidence->ak_public)},
        {"CertifiedDevID", crypto::Base64Encode(evidence->certified_devid)},
        {"CertificationSignature", crypto::Base64Encode(evidence->certify_signature)}};
    return Secret(payload.dump());
  }

  absl::StatusOr<std::string> Answer(std::string_view text) override {
    if (ak_.public_area.empty()) {
      return InvalidArgument("the upstream sent a challenge before it had the payload");
    }
    ASSIGN_OR_RETURN(const Challenge challenge, ParseChallenge(text));
    const tpm::Passwords& passwords = attestor_.passwords_;
    const absl::StatusOr<std::string> activated =
        tpm_.ActivateCredential(ak_, challenge.credential, challenge.secret, passwords);
    RETURN_IF_ERROR(ForOperator(activated.status()));
    const absl::StatusOr<std::string> signature = tpm_.SignWithDevId(
        attestor_.identity_.key, crypto::Digest(crypto::Hash::kSha256, challenge.nonce), passwords);
    RETURN_IF_ERROR(ForOperator(signature.status()));
    const Json response = {{"DevID", crypto::Base64Encode(*signature)},
                           {"CredActivation", crypto::Base64Encode(*activated)}};
    return response.dump();
  }

 private:
  absl::StatusOr<tpm::DevIdEvidence> Attest() {
    const tpm::KeyBlobs& devid = attestor_.identity_.key;
    absl::StatusOr<std::vector<tpm::KeyBlobs>> cached = tpm::LoadKeyFile(attestor_.ak_cache_path_);
    if (cached.ok()) {
      ak_ = std::move(cached->front());
      absl::StatusOr<tpm::DevIdEvidence> evidence =
          tpm_.AttestDevId(devid, ak_, attestor_.passwords_);
      if (evidence.status().code() != absl::StatusCode::kAborted) {
        return evidence;
      }
      log::Info("TPM refuses the attestation key that was kept: making another",
                {{"error", evidence.status()}});
    }
    ASSIGN_OR_RETURN(ak_, tpm_.CreateAk(attestor_.passwords_));
    if (const absl::Status saved = tpm::SaveKeyFile(attestor_.ak_cache_path_, {ak_}); !saved.ok()) {
      log::Warn("Cannot keep the attestation key: the next attestation makes another",
                {{"error", saved}});
    }
    return tpm_.AttestDevId(devid, ak_, attestor_.passwords_);
  }

  TpmDevIdAttestor& attestor_;
  tpm::Tpm& tpm_;
  tpm::KeyBlobs ak_;
};

absl::StatusOr<std::unique_ptr<TpmDevIdAttestor>> TpmDevIdAttestor::Create(
    TpmDevIdOptions options) {
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(options.devid_cert_path));
  const absl::StatusOr<std::vector<crypto::Certificate>> chain = crypto::Certificate::ParsePem(pem);
  RETURN_IF_ERROR(WithContext(chain.status(), options.devid_cert_path));
  Identity identity;
  for (const crypto::Certificate& certificate : *chain) {
    identity.chain.push_back(certificate.der());
  }
  ASSIGN_OR_RETURN(identity.key.private_area, ReadFile(options.devid_priv_path, kMaxBlobBytes));
  ASSIGN_OR_RETURN(identity.key.public_area, ReadFile(options.devid_pub_path, kMaxBlobBytes));
  const absl::StatusOr<tpm::PublicArea> area = tpm::ParsePublicBlob(identity.key.public_area);
  RETURN_IF_ERROR(WithContext(area.status(), options.devid_pub_path));
  const absl::StatusOr<crypto::PublicKey> key = area->Key();
  RETURN_IF_ERROR(WithContext(key.status(), options.devid_pub_path));
  if (chain->front().public_key() != *key) {
    return FailedPrecondition("the certificate of {} is not for the key of {}",
                              options.devid_cert_path, options.devid_pub_path);
  }
  tpm::Passwords passwords{.owner = std::move(options.owner_hierarchy_password),
                           .endorsement = std::move(options.endorsement_hierarchy_password),
                           .devid = std::move(options.devid_password)};
  return std::unique_ptr<TpmDevIdAttestor>(
      new TpmDevIdAttestor(std::move(options.tpm), std::move(options.ak_cache_path),
                           std::move(identity), std::move(passwords)));
}

absl::StatusOr<std::unique_ptr<NodeAttestation>> TpmDevIdAttestor::Begin() {
  const absl::StatusOr<tpm::Tpm*> opened = tpm_->Get();
  RETURN_IF_ERROR(ForOperator(opened.status()));
  return std::make_unique<TpmDevIdAttestation>(*this, **opened);
}

}  // namespace assay
