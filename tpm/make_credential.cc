// SPDX-License-Identifier: GPL-3.0-or-later
// TPM2_MakeCredential in software (TCG TPM 2.0 Part 1 §24, Annex B.10.4; KDFa of §11.4.10.2).
#include "crypto/aes_cfb.h"
#include "crypto/oaep.h"
#include "tpm/structures.h"
#include "tpm/wire.h"

namespace assay::tpm {
namespace {

constexpr crypto::Hash kHash = crypto::Hash::kSha256;  // The EK template's name algorithm.
constexpr size_t kAesBytes = 16, kHashBytes = 32;
constexpr std::string_view kOaepLabel("IDENTITY\0", 9);

// SP 800-108 in counter mode as TPMs use it; bytes is at most one block of the hash.
std::string Kdfa(std::string_view key, std::string_view label, std::string_view context,
                 size_t bytes) {
  std::string input = WireU32(1);
  input.append(label).append(1, '\0').append(context);
  input += WireU32(static_cast<uint32_t>(bytes * 8));
  return crypto::Hmac(kHash, key, input).substr(0, bytes);
}

}  // namespace

absl::StatusOr<Credential> MakeCredential(const PublicArea& ek, std::string_view object_name,
                                          std::string_view secret) {
  RETURN_IF_ERROR(CheckEkTemplate(ek));
  if (secret.empty() || secret.size() > kHashBytes) {
    return InvalidArgument("credential has {} bytes, wanted 1 to {}", secret.size(), kHashBytes);
  }
  ASSIGN_OR_RETURN(const crypto::PublicKey key, ek.Key());
  const Secret seed = crypto::RandomSecret(kAesBytes);
  Credential made;
  ASSIGN_OR_RETURN(made.encrypted_secret,
                   crypto::RsaOaepEncrypt(key, kHash, kOaepLabel, seed.Reveal()));
  std::string aes_key = Kdfa(seed.Reveal(), "STORAGE", object_name, kAesBytes);
  const Secret storage = Secret::TakeFrom(aes_key);
  std::string plain = WireSized(secret);
  const Secret identity = Secret::TakeFrom(plain);
  ASSIGN_OR_RETURN(const std::string encrypted,
                   crypto::AesCfbEncrypt(storage.Reveal(), identity.Reveal()));
  const std::string hmac_key = Kdfa(seed.Reveal(), "INTEGRITY", "", kHashBytes);
  const std::string integrity =
      crypto::Hmac(kHash, hmac_key, std::string(encrypted).append(object_name));
  made.credential = WireSized(integrity) + encrypted;
  return made;
}

}  // namespace assay::tpm
