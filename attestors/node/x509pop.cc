// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/x509pop.h"

#include <nlohmann/json.hpp>

#include "attestors/node/operator_error.h"
#include "base/files.h"
#include "crypto/der_reader.h"
#include "crypto/digest.h"
#include "crypto/json_object.h"

namespace assay {
namespace {

using Json = nlohmann::json;
using Kind = crypto::SignatureScheme::Kind;

constexpr size_t kMaxChallengeBytes = 4096;
constexpr size_t kNonceBytes = 32;
constexpr std::string_view kSignature = "signature of the nonces";

// The upstream's nonce under the member that is for this kind of key.
absl::StatusOr<std::string> ParseChallenge(std::string_view text, const char* member) {
  const absl::StatusOr<crypto::JsonObject> json =
      crypto::JsonObject::Parse(text, kMaxChallengeBytes);
  RETURN_IF_ERROR(WithContext(json.status(), "the challenge"));
  const absl::StatusOr<crypto::JsonObject> part = json->Object(member);
  RETURN_IF_ERROR(WithContext(part.status(), "the challenge is not one for this kind of key"));
  absl::StatusOr<std::string> nonce = part->Bytes("nonce");
  RETURN_IF_ERROR(WithContext(nonce.status(), "the challenge"));
  // What the key signs must never be long enough to be something else, such as a request for a
  // certificate.
  if (nonce->size() != kNonceBytes) {
    return InvalidArgument("the challenge's nonce has {} bytes, wanted {}", nonce->size(),
                           kNonceBytes);
  }
  return nonce;
}

class X509PopAttestation final : public NodeAttestation {
 public:
  explicit X509PopAttestation(X509PopIdentity identity) : identity_(std::move(identity)) {}

  absl::StatusOr<Secret> Payload() override {
    Json certificates = Json::array();
    for (const crypto::Certificate& certificate : identity_.chain) {
      certificates.push_back(crypto::Base64Encode(certificate.der()));
    }
    return Secret(Json{{"certificates", std::move(certificates)}}.dump());
  }

  absl::StatusOr<std::string> Answer(std::string_view challenge) override {
    const bool is_rsa = identity_.key->public_key().is_rsa();
    const char* member = is_rsa ? "rsa_signature" : "ecdsa_signature";
    ASSIGN_OR_RETURN(const std::string asked, ParseChallenge(challenge, member));
    const std::string own = crypto::RandomBytes(kNonceBytes);
    ASSIGN_OR_RETURN(
        const std::string signature,
        crypto::Sign(*identity_.key, {is_rsa ? Kind::kRsaPss : Kind::kEcdsa, crypto::Hash::kSha256},
                     asked + own));
    Json response = {{"nonce", crypto::Base64Encode(own)}};
    if (is_rsa) {
      response["signature"] = crypto::Base64Encode(signature);
    } else {
      crypto::DerReader outer(signature);
      ASSIGN_OR_RETURN(crypto::DerReader parts, outer.Enter(crypto::kDerSequence, kSignature));
      ASSIGN_OR_RETURN(const std::string_view r, parts.ReadUnsigned(kSignature));
      ASSIGN_OR_RETURN(const std::string_view s, parts.ReadUnsigned(kSignature));
      response["r"] = crypto::Base64Encode(r);
      response["s"] = crypto::Base64Encode(s);
    }
    return Json{{member, std::move(response)}}.dump();
  }

 private:
  const X509PopIdentity identity_;
};

}  // namespace

absl::StatusOr<X509PopIdentity> LoadX509PopFiles(const X509PopOptions& options) {
  X509PopIdentity identity;
  for (const std::string* path : {&options.certificate_path, &options.intermediates_path}) {
    if (path->empty()) {
      continue;
    }
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(*path));
    absl::StatusOr<std::vector<crypto::Certificate>> parsed = crypto::Certificate::ParsePem(pem);
    RETURN_IF_ERROR(WithContext(parsed.status(), *path));
    identity.chain.insert(identity.chain.end(), parsed->begin(), parsed->end());
  }
  ASSIGN_OR_RETURN(const Secret text, ReadSecretFile(options.private_key_path));
  absl::StatusOr<std::unique_ptr<crypto::PrivateKey>> key = crypto::PrivateKey::ParsePem(text);
  RETURN_IF_ERROR(WithContext(key.status(), options.private_key_path));
  identity.key = *std::move(key);
  return identity;
}

absl::StatusOr<std::unique_ptr<NodeAttestation>> X509PopAttestor::Begin() {
  absl::StatusOr<X509PopIdentity> identity = load_();
  RETURN_IF_ERROR(ForOperator(identity.status()));
  if (identity->chain.empty() || identity->key == nullptr) {
    return FailedPrecondition("x509pop has no certificate or no key to show");
  }
  if (identity->chain.front().public_key() != identity->key->public_key()) {
    return FailedPrecondition(
        "the first certificate is not for the private key: check certificate_path and "
        "private_key_path of x509pop");
  }
  return std::make_unique<X509PopAttestation>(*std::move(identity));
}

}  // namespace assay
