// SPDX-License-Identifier: GPL-3.0-or-later
// TPM 2.0 structures as bytes, parsed and judged without a TPM (TCG TPM 2.0 Part 2): what a
// verifier needs. No tpm2-tss here: small bounded readers, for bytes that an unattested node sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "crypto/digest.h"
#include "crypto/key.h"

namespace assay::tpm {

// Object attributes (TPMA_OBJECT).
constexpr uint32_t kFixedTpm = 1u << 1;
constexpr uint32_t kFixedParent = 1u << 4;
constexpr uint32_t kSensitiveDataOrigin = 1u << 5;
constexpr uint32_t kAdminWithPolicy = 1u << 7;
constexpr uint32_t kNoDa = 1u << 10;
constexpr uint32_t kRestricted = 1u << 16;
constexpr uint32_t kDecrypt = 1u << 17;
constexpr uint32_t kSignEncrypt = 1u << 18;

// A TPMT_PUBLIC of an RSA or ECC key.
struct PublicArea {
  uint16_t type = 0;      // TPM_ALG_RSA 0x0001, TPM_ALG_ECC 0x0023
  uint16_t name_alg = 0;  // TPM_ALG_SHA256 0x000b, ...
  uint32_t attributes = 0;
  std::string auth_policy;
  uint16_t symmetric = 0, symmetric_bits = 0, symmetric_mode = 0;
  uint16_t scheme = 0, scheme_hash = 0;
  uint16_t rsa_bits = 0, curve = 0;
  uint32_t exponent = 0;
  std::string unique;  // RSA modulus, or x then y padded to the curve
  std::string bytes;   // The whole structure, as parsed

  // Exactly one structure, no trailing bytes.
  static absl::StatusOr<PublicArea> Parse(std::string_view bytes);
  // TPM2B_NAME's content: the name algorithm, then the digest of the structure.
  absl::StatusOr<std::string> Name() const;
  absl::StatusOr<crypto::PublicKey> Key() const;
};

// A key file's public area, as PublicArea::Parse; the words for one with a TPM2B size in front, as
// other tools write it, say so.
absl::StatusOr<PublicArea> ParsePublicBlob(std::string_view bytes);

// A TPMS_ATTEST of type certify.
struct CertifyInfo {
  std::string extra_data;
  std::string certified_name;
  static absl::StatusOr<CertifyInfo> Parse(std::string_view bytes);
};

// OK when signature (TPMT_SIGNATURE) is ak's over attest.
absl::Status VerifyTpmSignature(const PublicArea& ak, std::string_view attest,
                                std::string_view signature);

// TPM2_MakeCredential without a TPM: secret, readable only by the TPM that holds the RSA EK and an
// object of this name. Both blobs without their TPM2B sizes.
struct Credential {
  std::string credential;
  std::string encrypted_secret;
};
absl::StatusOr<Credential> MakeCredential(const PublicArea& ek, std::string_view object_name,
                                          std::string_view secret);

// OK when the area is the TCG's default RSA 2048 EK template (L-1) but for its modulus.
absl::Status CheckEkTemplate(const PublicArea& ek);
// OK when the area is a restricted signing key made in its TPM: fixedTPM, fixedParent,
// sensitiveDataOrigin, restricted, sign, no decrypt, RSA of at least 2048 bits, RSASSA-SHA256.
absl::Status CheckAkTemplate(const PublicArea& ak);
// OK when the area is an unrestricted signing key made in and fixed to its TPM.
absl::Status CheckDevIdTemplate(const PublicArea& devid);

}  // namespace assay::tpm
