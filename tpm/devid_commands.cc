// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/devid_commands.h"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <array>

#include "crypto/der_writer.h"
#include "tpm/endorsement_certificate.h"
#include "tpm/return_code.h"
#include "tpm/structures.h"
#include "tpm/templates.h"

namespace assay::tpm {
namespace {

constexpr std::string_view kDevIdName = "the DevID key";
constexpr size_t kDigestBytes = 32;

std::string_view AsText(const BYTE* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// Copies text into a TPM2B; false when it does not fit. Its field has a name of its own in each.
template <size_t Capacity>
bool Fill(UINT16& size, BYTE (&buffer)[Capacity], std::string_view text) {
  if (text.size() > Capacity) {
    return false;
  }
  size = static_cast<UINT16>(text.size());
  std::copy(text.begin(), text.end(), buffer);
  return true;
}

// The TPMT_PUBLIC's bytes.
absl::StatusOr<std::string> Marshal(const TPMT_PUBLIC& area) {
  std::array<BYTE, sizeof(TPMT_PUBLIC)> buffer;
  size_t size = 0;
  if (Tss2_MU_TPMT_PUBLIC_Marshal(&area, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS) {
    return Internal("cannot write a key's public area");
  }
  return std::string(AsText(buffer.data(), size));
}

absl::StatusOr<std::string> Marshal(const TPMT_SIGNATURE& signature) {
  std::array<BYTE, sizeof(TPMT_SIGNATURE)> buffer;
  size_t size = 0;
  if (Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, buffer.data(), buffer.size(), &size) !=
      TSS2_RC_SUCCESS) {
    return Internal("cannot write a signature");
  }
  return std::string(AsText(buffer.data(), size));
}

absl::StatusOr<TPM2B_PUBLIC> UnmarshalPublic(std::string_view bytes) {
  TPM2B_PUBLIC area{};
  size_t offset = 0;
  if (Tss2_MU_TPMT_PUBLIC_Unmarshal(reinterpret_cast<const BYTE*>(bytes.data()), bytes.size(),
                                    &offset, &area.publicArea) != TSS2_RC_SUCCESS ||
      offset != bytes.size()) {
    return InvalidArgument("not a TPMT_PUBLIC");
  }
  return area;
}

absl::StatusOr<std::string> SignatureBytes(const TPMT_SIGNATURE& signature) {
  if (signature.sigAlg == TPM2_ALG_RSASSA) {
    const TPM2B_PUBLIC_KEY_RSA& rsa = signature.signature.rsassa.sig;
    return std::string(AsText(rsa.buffer, rsa.size));
  }
  if (signature.sigAlg == TPM2_ALG_ECDSA) {
    const TPMS_SIGNATURE_ECDSA& ecdsa = signature.signature.ecdsa;
    return crypto::DerSequence(
        {crypto::DerUnsigned(AsText(ecdsa.signatureR.buffer, ecdsa.signatureR.size)),
         crypto::DerUnsigned(AsText(ecdsa.signatureS.buffer, ecdsa.signatureS.size))});
  }
  return Internal("the TPM signed with scheme 0x{:04x}, which was not asked for", signature.sigAlg);
}

TPMT_SIG_SCHEME SchemeOf(uint16_t key_type) {
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = key_type == TPM2_ALG_RSA ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA;
  scheme.details.any.hashAlg = TPM2_ALG_SHA256;
  return scheme;
}

}  // namespace

absl::StatusOr<KeyBlobs> DevIdCommands::CreateDevId(crypto::KeyType type,
                                                    const Passwords& passwords) {
  switch (type) {
    case crypto::KeyType::kRsa2048:
      return Create(PrimaryKey::kRsaStorage, RsaDevIdTemplate(), passwords.devid, passwords);
    case crypto::KeyType::kEcP256:
      return Create(PrimaryKey::kEccStorage, EccDevIdTemplate(), passwords.devid, passwords);
    default:
      return InvalidArgument("a DevID key is ec-p256 or rsa-2048, not {}",
                             crypto::KeyTypeName(type));
  }
}

absl::StatusOr<KeyBlobs> DevIdCommands::CreateAk(const Passwords& passwords) {
  return Create(PrimaryKey::kRsaStorage, AkTemplate(), Secret(), passwords);
}

absl::StatusOr<KeyBlobs> DevIdCommands::Create(PrimaryKey parent, const TPM2B_PUBLIC& key,
                                               const Secret& password, const Passwords& passwords) {
  if (password.size() > kDigestBytes) {
    return InvalidArgument("the password of a TPM key has {} bytes, wanted at most {}",
                           password.size(), kDigestBytes);
  }
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(const Loaded storage_root, primary_keys_.Load(parent, passwords.owner, session));
  TPM2B_SENSITIVE_CREATE sensitive{};
  Fill(sensitive.sensitive.userAuth.size, sensitive.sensitive.userAuth.buffer, password.Reveal());
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  TPM2B_PRIVATE* raw_private = nullptr;
  TPM2B_PUBLIC* raw_public = nullptr;
  const absl::Status status = esys_.Run("create a key", [&] {
    return ESYS(Create)(esys_.get(), storage_root.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                        &sensitive, &key, &outside, &pcrs, &raw_private, &raw_public, nullptr,
                        nullptr, nullptr);
  });
  Wipe(&sensitive, sizeof(sensitive));
  RETURN_IF_ERROR(status);
  const EsysPtr<TPM2B_PRIVATE> private_area(raw_private);
  const EsysPtr<TPM2B_PUBLIC> public_area(raw_public);
  KeyBlobs blobs;
  ASSIGN_OR_RETURN(blobs.public_area, Marshal(public_area->publicArea));
  blobs.private_area = AsText(private_area->buffer, private_area->size);
  return blobs;
}

absl::StatusOr<Loaded> DevIdCommands::LoadKey(Role role, const KeyBlobs& blobs,
                                              const Passwords& passwords, const Loaded& session) {
  const std::string_view name = role == Role::kDevId ? kDevIdName : "the attestation key";
  const absl::StatusOr<PublicArea> parsed = ParsePublicBlob(blobs.public_area);
  const absl::StatusOr<TPM2B_PUBLIC> area = UnmarshalPublic(blobs.public_area);
  TPM2B_PRIVATE secret_area{};
  if (!parsed.ok() || !area.ok()) {
    return WithContext(parsed.ok() ? area.status() : parsed.status(),
                       fmt::format("public blob of {}", name));
  }
  if (blobs.private_area.empty() ||
      !Fill(secret_area.size, secret_area.buffer, blobs.private_area)) {
    return InvalidArgument("private blob of {} has {} bytes", name, blobs.private_area.size());
  }
  const PrimaryKey parent =
      parsed->type == TPM2_ALG_RSA ? PrimaryKey::kRsaStorage : PrimaryKey::kEccStorage;
  ASSIGN_OR_RETURN(const Loaded storage_root, primary_keys_.Load(parent, passwords.owner, session));
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(Load)(esys_.get(), storage_root.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                      &secret_area, &*area, &handle);
  });
  if (IsBadParameter(code)) {
    const std::string words = fmt::format(
        "the TPM refuses {} (0x{:x}): its blobs are of another TPM, or the TPM was "
        "cleared since they were made: make another key",
        name, code);
    return MakeStatus(
        role == Role::kDevId ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kAborted,
        words);
  }
  if (code != TSS2_RC_SUCCESS) {
    return TpmError(code, fmt::format("load {}", name));
  }
  return Loaded(esys_, handle);
}

absl::StatusOr<DevIdEvidence> DevIdCommands::AttestDevId(const KeyBlobs& devid_blobs,
                                                         const KeyBlobs& ak_blobs,
                                                         const Passwords& passwords) {
  RETURN_IF_ERROR(refused_.Check(devid_blobs.public_area, kDevIdName, passwords.devid));
  DevIdEvidence evidence;
  evidence.devid_public = devid_blobs.public_area;
  evidence.ak_public = ak_blobs.public_area;
  ASSIGN_OR_RETURN(evidence.ek_certificate, ReadEndorsementCertificate());
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(evidence.ek_public, ReadEndorsementPublic(passwords, session));
  ASSIGN_OR_RETURN(const Loaded devid, LoadKey(Role::kDevId, devid_blobs, passwords, session));
  ASSIGN_OR_RETURN(const Loaded ak, LoadKey(Role::kAk, ak_blobs, passwords, session));
  RETURN_IF_ERROR(esys_.SetPassword(devid.get(), passwords.devid));
  const TPM2B_DATA qualifying{};
  const TPMT_SIG_SCHEME scheme = SchemeOf(TPM2_ALG_RSA);
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(Certify)(esys_.get(), devid.get(), ak.get(), session.get(), ESYS_TR_PASSWORD,
                         ESYS_TR_NONE, &qualifying, &scheme, &raw_attest, &raw_signature);
  });
  RETURN_IF_ERROR(DevIdStatus(devid_blobs, passwords, code, "certify the DevID key"));
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
  ASSIGN_OR_RETURN(const Loaded ak, LoadKey(Role::kAk, ak_blobs, passwords, session));
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
  TPM2B_DIGEST input{};
  if (digest.size() != kDigestBytes || !Fill(input.size, input.buffer, digest)) {
    return InvalidArgument("digest has {} bytes, wanted {}", digest.size(), kDigestBytes);
  }
  RETURN_IF_ERROR(refused_.Check(devid_blobs.public_area, kDevIdName, passwords.devid));
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(const Loaded key, LoadKey(Role::kDevId, devid_blobs, passwords, session));
  RETURN_IF_ERROR(esys_.SetPassword(key.get(), passwords.devid));
  // A signature is no TPM2B, which alone can be encrypted.
  RETURN_IF_ERROR(esys_.Run("set up a session with the TPM", [&] {
    return ESYS(TRSess_SetAttributes)(esys_.get(), session.get(), 0, TPMA_SESSION_ENCRYPT);
  }));
  ASSIGN_OR_RETURN(const PublicArea area, PublicArea::Parse(devid_blobs.public_area));
  const TPMT_SIG_SCHEME scheme = SchemeOf(area.type);
  TPMT_TK_HASHCHECK no_ticket{};
  no_ticket.tag = TPM2_ST_HASHCHECK;
  no_ticket.hierarchy = TPM2_RH_NULL;
  TPMT_SIGNATURE* raw = nullptr;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(Sign)(esys_.get(), key.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE, &input,
                      &scheme, &no_ticket, &raw);
  });
  RETURN_IF_ERROR(DevIdStatus(devid_blobs, passwords, code, "sign with the DevID key"));
  const EsysPtr<TPMT_SIGNATURE> signature(raw);
  return SignatureBytes(*signature);
}

absl::Status DevIdCommands::DevIdStatus(const KeyBlobs& devid, const Passwords& passwords,
                                        TSS2_RC code, std::string_view what) {
  if (code == TSS2_RC_SUCCESS) {
    return absl::OkStatus();
  }
  if (IsWrongPassword(code)) {
    refused_.Remember(devid.public_area, passwords.devid);
    return WithContext(TpmError(code, what), "the TPM refuses the password of the DevID key");
  }
  return TpmError(code, what);
}

}  // namespace assay::tpm
