// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/devid_commands.h"

#include "tpm/endorsement_certificate.h"
#include "tpm/return_code.h"
#include "tpm/structures.h"
#include "tpm/templates.h"
#include "tpm/tss_bytes.h"

namespace assay::tpm {
namespace {

constexpr KeyCommands::Purpose kDevId = {.name = "the DevID key",
                                         .foreign = absl::StatusCode::kFailedPrecondition};
constexpr KeyCommands::Purpose kAk = {.name = "the attestation key",
                                      .foreign = absl::StatusCode::kAborted};

}  // namespace

absl::StatusOr<KeyBlobs> DevIdCommands::CreateDevId(crypto::KeyType type,
                                                    const Passwords& passwords) {
  switch (type) {
    case crypto::KeyType::kRsa2048:
      return keys_.Create(RsaSigningTemplate(), passwords.devid, passwords);
    case crypto::KeyType::kEcP256:
      return keys_.Create(EccSigningTemplate(), passwords.devid, passwords);
    default:
      return InvalidArgument("a DevID key is ec-p256 or rsa-2048, not {}",
                             crypto::KeyTypeName(type));
  }
}

absl::StatusOr<KeyBlobs> DevIdCommands::CreateAk(const Passwords& passwords) {
  return keys_.Create(AkTemplate(), Secret(), passwords);
}

absl::StatusOr<DevIdEvidence> DevIdCommands::AttestDevId(const KeyBlobs& devid_blobs,
                                                         const KeyBlobs& ak_blobs,
                                                         const Passwords& passwords) {
  RETURN_IF_ERROR(refused_.Check(devid_blobs.public_area, kDevId.name, passwords.devid));
  DevIdEvidence evidence;
  evidence.devid_public = devid_blobs.public_area;
  evidence.ak_public = ak_blobs.public_area;
  ASSIGN_OR_RETURN(evidence.ek_certificate, ReadEndorsementCertificate());
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(evidence.ek_public, ReadEndorsementPublic(passwords, session));
  ASSIGN_OR_RETURN(const Loaded devid, keys_.Load(kDevId, devid_blobs, passwords, session));
  ASSIGN_OR_RETURN(const Loaded ak, keys_.Load(kAk, ak_blobs, passwords, session));
  RETURN_IF_ERROR(esys_.SetPassword(devid.get(), passwords.devid));
  const TPM2B_DATA qualifying{};
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_RSASSA;
  scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(Certify)(esys_.get(), devid.get(), ak.get(), session.get(), ESYS_TR_PASSWORD,
                         ESYS_TR_NONE, &qualifying, &scheme, &raw_attest, &raw_signature);
  });
  if (code != TSS2_RC_SUCCESS) {
    return DevIdError(devid_blobs, passwords, TpmError(code, "certify the DevID key"));
  }
  const EsysPtr<TPM2B_ATTEST> attest(raw_attest);
  const EsysPtr<TPMT_SIGNATURE> signature(raw_signature);
  evidence.certified_devid = AsText(attest->attestationData, attest->size);
  ASSIGN_OR_RETURN(evidence.certify_signature, Marshal(*signature));
  return evidence;
}

absl::StatusOr<std::string> DevIdCommands::ReadEndorsementCertificate() {
  constexpr TPM2_HANDLE kRsaCertificateIndex = 0x01c00002;
  ESYS_TR index = ESYS_TR_NONE;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(TR_FromTPMPublic)(esys_.get(), kRsaCertificateIndex, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, &index);
  });
  if (IsNoSuchHandle(code)) {
    return FailedPrecondition(
        "the TPM has no endorsement certificate at NV index 0x{:08x}: write the manufacturer's "
        "there",
        kRsaCertificateIndex);
  }
  if (code != TSS2_RC_SUCCESS) {
    return TpmError(code, "find the endorsement certificate");
  }
  absl::StatusOr<std::string> bytes = ReadNv(esys_, index);
  if (!esys_.lost()) {
    esys_.Execute([&] { return ESYS(TR_Close)(esys_.get(), &index); });
  }
  RETURN_IF_ERROR(bytes.status());
  return CutToCertificate(*bytes);
}

absl::StatusOr<std::string> DevIdCommands::ReadEndorsementPublic(const Passwords& passwords,
                                                                 const Loaded& session) {
  ASSIGN_OR_RETURN(const Loaded key,
                   primary_keys_.Load(PrimaryKey::kEndorsement, passwords.endorsement, session));
  TPM2B_PUBLIC* raw = nullptr;
  RETURN_IF_ERROR(esys_.Run("read the endorsement key", [&] {
    return ESYS(ReadPublic)(esys_.get(), key.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw,
                            nullptr, nullptr);
  }));
  const EsysPtr<TPM2B_PUBLIC> area(raw);
  return Marshal(area->publicArea);
}

absl::StatusOr<Loaded> DevIdCommands::StartEndorsementPolicy(const Passwords& passwords,
                                                             const Loaded& session) {
  TPMT_SYM_DEF none{};
  none.algorithm = TPM2_ALG_NULL;
  ESYS_TR handle = ESYS_TR_NONE;
  RETURN_IF_ERROR(esys_.Run("start a policy session", [&] {
    return ESYS(StartAuthSession)(esys_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_POLICY, &none,
                                  TPM2_ALG_SHA256, &handle);
  }));
  Loaded policy(esys_, handle);
  // So that it survives its use, and its owner alone ends it.
  RETURN_IF_ERROR(esys_.Run("set up a policy session", [&] {
    return ESYS(TRSess_SetAttributes)(esys_.get(), handle, TPMA_SESSION_CONTINUESESSION, 0xff);
  }));
  RETURN_IF_ERROR(
      primary_keys_.SetHierarchyPassword(ESYS_TR_RH_ENDORSEMENT, passwords.endorsement));
  const TPM2B_NONCE nonce{};
  const TPM2B_DIGEST cp_hash{};
  const TPM2B_NONCE policy_ref{};
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(PolicySecret)(esys_.get(), ESYS_TR_RH_ENDORSEMENT, policy.get(), session.get(),
                              ESYS_TR_NONE, ESYS_TR_NONE, &nonce, &cp_hash, &policy_ref, 0, nullptr,
                              nullptr);
  });
  RETURN_IF_ERROR(primary_keys_.HierarchyStatus(ESYS_TR_RH_ENDORSEMENT, passwords.endorsement, code,
                                                "use the endorsement key"));
  return policy;
}

absl::StatusOr<std::string> DevIdCommands::ActivateCredential(const KeyBlobs& ak_blobs,
                                                              const std::string& credential,
                                                              const std::string& secret,
                                                              const Passwords& passwords) {
  TPM2B_ID_OBJECT identity{};
  TPM2B_ENCRYPTED_SECRET encrypted{};
  if (!Fill(identity.size, identity.credential, credential) ||
      !Fill(encrypted.size, encrypted.secret, secret)) {
    return InvalidArgument("credential of {} and {} bytes is too large for a TPM",
                           credential.size(), secret.size());
  }
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(const Loaded ak, keys_.Load(kAk, ak_blobs, passwords, session));
  ASSIGN_OR_RETURN(const Loaded ek,
                   primary_keys_.Load(PrimaryKey::kEndorsement, passwords.endorsement, session));
  ASSIGN_OR_RETURN(const Loaded policy, StartEndorsementPolicy(passwords, session));
  TPM2B_DIGEST* raw = nullptr;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(ActivateCredential)(esys_.get(), ak.get(), ek.get(), session.get(), policy.get(),
                                    ESYS_TR_NONE, &identity, &encrypted, &raw);
  });
  // A seed that does not decrypt is a failure of the command, and not of the TPM.
  if (IsBadParameter(code) || code == TPM2_RC_FAILURE) {
    return InvalidArgument(
        "the TPM cannot read the credential (0x{:x}): it was not made for this TPM's endorsement "
        "key and this attestation key",
        code);
  }
  if (code != TSS2_RC_SUCCESS) {
    return TpmError(code, "activate the credential");
  }
  const EsysPtr<TPM2B_DIGEST> activated(raw);
  std::string bytes(AsText(activated->buffer, activated->size));
  Wipe(activated.get(), sizeof(TPM2B_DIGEST));
  return bytes;
}

absl::StatusOr<std::string> DevIdCommands::SignWithDevId(const KeyBlobs& devid_blobs,
                                                         const std::string& digest,
                                                         const Passwords& passwords) {
  RETURN_IF_ERROR(refused_.Check(devid_blobs.public_area, kDevId.name, passwords.devid));
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(const Loaded key, keys_.Load(kDevId, devid_blobs, passwords, session));
  RETURN_IF_ERROR(esys_.SetPassword(key.get(), passwords.devid));
  ASSIGN_OR_RETURN(const PublicArea area, PublicArea::Parse(devid_blobs.public_area));
  using Kind = crypto::SignatureScheme::Kind;
  const absl::StatusOr<std::string> signature =
      keys_.SignLoaded(key,
                       {.kind = area.type == TPM2_ALG_RSA ? Kind::kRsaPkcs1 : Kind::kEcdsa,
                        .hash = crypto::Hash::kSha256},
                       digest, session);
  return signature.ok() ? signature : DevIdError(devid_blobs, passwords, signature.status());
}

absl::Status DevIdCommands::DevIdError(const KeyBlobs& devid, const Passwords& passwords,
                                       const absl::Status& error) {
  if (!absl::IsPermissionDenied(error)) {
    return error;
  }
  refused_.Remember(devid.public_area, passwords.devid);
  return WithContext(error, "the TPM refuses the password of the DevID key");
}

}  // namespace assay::tpm
