// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/templates.h"

#include <algorithm>
#include <iterator>

namespace assay::tpm {
namespace {

constexpr TPMA_OBJECT kMadeHere =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;
constexpr TPMA_OBJECT kStorage = kMadeHere | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
                                 TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
constexpr TPMA_OBJECT kSigning =
    kMadeHere | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT;

constexpr BYTE kEndorsementPolicy[] = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

TPMT_SYM_DEF_OBJECT Symmetric(TPMA_OBJECT attributes) {
  TPMT_SYM_DEF_OBJECT symmetric{};
  symmetric.algorithm = TPM2_ALG_NULL;
  if ((attributes & TPMA_OBJECT_DECRYPT) != 0) {
    symmetric.algorithm = TPM2_ALG_AES;
    symmetric.keyBits.aes = 128;
    symmetric.mode.aes = TPM2_ALG_CFB;
  }
  return symmetric;
}

TPM2B_PUBLIC Rsa(TPMA_OBJECT attributes) {
  TPM2B_PUBLIC made{};
  TPMT_PUBLIC& area = made.publicArea;
  area.type = TPM2_ALG_RSA;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = attributes;
  TPMS_RSA_PARMS& rsa = area.parameters.rsaDetail;
  rsa.symmetric = Symmetric(attributes);
  rsa.scheme.scheme = TPM2_ALG_NULL;
  if ((attributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0) {
    rsa.scheme.scheme = TPM2_ALG_RSASSA;
    rsa.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
  }
  rsa.keyBits = 2048;
  return made;
}

TPM2B_PUBLIC Ecc(TPMA_OBJECT attributes) {
  TPM2B_PUBLIC made{};
  TPMT_PUBLIC& area = made.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = attributes;
  TPMS_ECC_PARMS& ecc = area.parameters.eccDetail;
  ecc.symmetric = Symmetric(attributes);
  ecc.scheme.scheme = TPM2_ALG_NULL;
  if ((attributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0) {
    ecc.scheme.scheme = TPM2_ALG_ECDSA;
    ecc.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  }
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  return made;
}

}  // namespace

TPM2B_PUBLIC RsaStorageTemplate() { return Rsa(kStorage); }
TPM2B_PUBLIC EccStorageTemplate() { return Ecc(kStorage); }
TPM2B_PUBLIC RsaSigningTemplate() { return Rsa(kSigning); }
TPM2B_PUBLIC EccSigningTemplate() { return Ecc(kSigning); }
TPM2B_PUBLIC AkTemplate() { return Rsa(kSigning | TPMA_OBJECT_RESTRICTED); }

TPM2B_PUBLIC RsaEndorsementTemplate() {
  TPM2B_PUBLIC made =
      Rsa(kMadeHere | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
  TPM2B_DIGEST& policy = made.publicArea.authPolicy;
  policy.size = std::size(kEndorsementPolicy);
  std::copy(std::begin(kEndorsementPolicy), std::end(kEndorsementPolicy), policy.buffer);
  made.publicArea.unique.rsa.size = 256;  // Zeros, which differ from none.
  return made;
}

TPM2B_PUBLIC AnySchemeRsaTemplate() {
  TPM2B_PUBLIC made = Rsa(kSigning);
  made.publicArea.parameters.rsaDetail.scheme = {};
  made.publicArea.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
  return made;
}

TPM2B_PUBLIC EccP384SigningTemplate() {
  TPM2B_PUBLIC made = Ecc(kSigning);
  TPMS_ECC_PARMS& ecc = made.publicArea.parameters.eccDetail;
  ecc.curveID = TPM2_ECC_NIST_P384;
  ecc.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA384;
  return made;
}

}  // namespace assay::tpm
