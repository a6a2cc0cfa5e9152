// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/sshpop.h"

#include "attestors/node/operator_error.h"
#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/json_object.h"
#include "crypto/ssh_certificate.h"

namespace assay {
namespace {

using crypto::Base64Encode;
using crypto::SshCertificate;
using crypto::SshPrivateKey;

constexpr size_t kMaxKeyBytes = 64 << 10;
constexpr size_t kMaxChallengeBytes = 4096;
constexpr size_t kNonceBytes = 32;

class SshPopAttestation final : public NodeAttestation {
 public:
  SshPopAttestation(SshCertificate certificate, std::unique_ptr<SshPrivateKey> key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  absl::StatusOr<Secret> Payload() override {
    return Secret(fmt::format(R"({{"Certificate":"{}"}})", Base64Encode(certificate_.blob())));
  }

  absl::StatusOr<std::string> Answer(std::string_view challenge) override {
    const absl::StatusOr<crypto::JsonObject> json =
        crypto::JsonObject::Parse(challenge, kMaxChallengeBytes);
    RETURN_IF_ERROR(WithContext(json.status(), "the challenge"));
    const absl::StatusOr<std::string> asked = json->Bytes("Nonce");
    RETURN_IF_ERROR(WithContext(asked.status(), "the challenge"));
    if (asked->size() != kNonceBytes) {
      return InvalidArgument("the challenge's nonce has {} bytes, wanted {}", asked->size(),
                             kNonceBytes);
    }
    const std::string own = crypto::RandomBytes(kNonceBytes);
    // The digest is the message: it is hashed once more, by the signature's own hash.
    ASSIGN_OR_RETURN(const crypto::SshSignature signature,
                     key_->Sign(crypto::Digest(crypto::Hash::kSha256, *asked + own)));
    return fmt::format(R"({{"Nonce":"{}","Signature":{{"Format":"{}","Blob":"{}","Rest":null}}}})",
                       Base64Encode(own), signature.format, Base64Encode(signature.blob));
  }

 private:
  const SshCertificate certificate_;
  const std::unique_ptr<SshPrivateKey> key_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> SshPopAttestor::Begin() {
  const absl::StatusOr<std::string> line = ReadFile(options_.host_cert_path, kMaxKeyBytes);
  RETURN_IF_ERROR(ForOperator(line.status()));
  absl::StatusOr<SshCertificate> certificate = SshCertificate::ParseLine(*line);
  RETURN_IF_ERROR(WithContext(certificate.status(), options_.host_cert_path));
  const absl::StatusOr<Secret> text =
      host_key_.empty() ? ReadSecretFile(options_.host_key_path, kMaxKeyBytes) : host_key_.Clone();
  RETURN_IF_ERROR(ForOperator(text.status()));
  absl::StatusOr<std::unique_ptr<SshPrivateKey>> key = SshPrivateKey::ParsePem(*text);
  RETURN_IF_ERROR(WithContext(key.status(), options_.host_key_path));
  if (certificate->key() != (*key)->public_key()) {
    return FailedPrecondition("the certificate of {} is not for the key of {}",
                              options_.host_cert_path, options_.host_key_path);
  }
  return std::make_unique<SshPopAttestation>(*std::move(certificate), *std::move(key));
}

}  // namespace assay
