// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/key_commands.h"

#include "crypto/der_writer.h"
#include "tpm/return_code.h"
#include "tpm/structures.h"
#include "tpm/templates.h"
#include "tpm/tss_bytes.h"

namespace assay::tpm {
namespace {

using SchemeKind = crypto::SignatureScheme::Kind;

constexpr size_t kMaxPasswordBytes = 32;
constexpr KeyCommands::Purpose kOwnKey = {.name = "the agent's key",
                                          .foreign = absl::StatusCode::kAborted};

PrimaryKey ParentOf(TPMI_ALG_PUBLIC type) {
  return type == TPM2_ALG_RSA ? PrimaryKey::kRsaStorage : PrimaryKey::kEccStorage;
}

absl::StatusOr<TPMT_SIG_SCHEME> TpmScheme(const crypto::SignatureScheme& scheme) {
  TPMT_SIG_SCHEME made{};
  made.scheme = scheme.kind == SchemeKind::kEcdsa    ? TPM2_ALG_ECDSA
                : scheme.kind == SchemeKind::kRsaPss ? TPM2_ALG_RSAPSS
                                                     : TPM2_ALG_RSASSA;
  switch (scheme.hash) {
    case crypto::Hash::kSha256:
      made.details.any.hashAlg = TPM2_ALG_SHA256;
      return made;
    case crypto::Hash::kSha384:
      made.details.any.hashAlg = TPM2_ALG_SHA384;
      return made;
    case crypto::Hash::kSha512:
      made.details.any.hashAlg = TPM2_ALG_SHA512;
      return made;
    default:
      return InvalidArgument("a TPM key signs SHA-256, SHA-384 or SHA-512 digests only");
  }
}

absl::StatusOr<std::string> SignatureBytes(const TPMT_SIGNATURE& signature) {
  if (signature.sigAlg == TPM2_ALG_RSASSA || signature.sigAlg == TPM2_ALG_RSAPSS) {
    // Both have the same members.
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

}  // namespace

absl::StatusOr<KeyBlobs> KeyCommands::CreateKey(crypto::KeyType type, const Passwords& passwords) {
  switch (type) {
    case crypto::KeyType::kEcP256:
      return Create(EccSigningTemplate(), Secret(), passwords);
    case crypto::KeyType::kEcP384:
      return Create(EccP384SigningTemplate(), Secret(), passwords);
    case crypto::KeyType::kRsa2048:
      return Create(AnySchemeRsaTemplate(), Secret(), passwords);
    default:
      return InvalidArgument("a key in the TPM is ec-p256, ec-p384 or rsa-2048, not {}",
                             crypto::KeyTypeName(type));
  }
}

absl::Status KeyCommands::CheckKey(const KeyBlobs& key, const Passwords& passwords) {
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  return Load(kOwnKey, key, passwords, session).status();
}

absl::StatusOr<std::string> KeyCommands::Sign(const KeyBlobs& key,
                                              const crypto::SignatureScheme& scheme,
                                              const std::string& digest,
                                              const Passwords& passwords) {
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(const Loaded loaded, Load(kOwnKey, key, passwords, session));
  return SignLoaded(loaded, scheme, digest, session);
}

absl::StatusOr<KeyBlobs> KeyCommands::Create(const TPM2B_PUBLIC& key, const Secret& password,
                                             const Passwords& passwords) {
  if (password.size() > kMaxPasswordBytes) {
    return InvalidArgument("the password of a TPM key has {} bytes, wanted at most {}",
                           password.size(), kMaxPasswordBytes);
  }
  ASSIGN_OR_RETURN(const Loaded session, primary_keys_.StartSession());
  ASSIGN_OR_RETURN(const Loaded storage_root,
                   primary_keys_.Load(ParentOf(key.publicArea.type), passwords.owner, session));
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

absl::StatusOr<Loaded> KeyCommands::Load(const Purpose& purpose, const KeyBlobs& blobs,
                                         const Passwords& passwords, const Loaded& session) {
  const absl::StatusOr<PublicArea> parsed = ParsePublicBlob(blobs.public_area);
  const absl::StatusOr<TPM2B_PUBLIC> area = UnmarshalPublic(blobs.public_area);
  TPM2B_PRIVATE secret_area{};
  if (!parsed.ok() || !area.ok()) {
    return WithContext(parsed.ok() ? area.status() : parsed.status(),
                       fmt::format("public blob of {}", purpose.name));
  }
  if (blobs.private_area.empty() ||
      !Fill(secret_area.size, secret_area.buffer, blobs.private_area)) {
    return InvalidArgument("private blob of {} has {} bytes", purpose.name,
                           blobs.private_area.size());
  }
  ASSIGN_OR_RETURN(const Loaded storage_root,
                   primary_keys_.Load(ParentOf(parsed->type), passwords.owner, session));
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(Load)(esys_.get(), storage_root.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                      &secret_area, &*area, &handle);
  });
  if (IsBadParameter(code)) {
    return MakeStatus(purpose.foreign,
                      fmt::format("the TPM refuses {} (0x{:x}): its blobs are of another TPM, or "
                                  "the TPM was cleared since they were made: make another key",
                                  purpose.name, code));
  }
  if (code != TSS2_RC_SUCCESS) {
    return TpmError(code, fmt::format("load {}", purpose.name));
  }
  return Loaded(esys_, handle);
}

absl::StatusOr<std::string> KeyCommands::SignLoaded(const Loaded& key,
                                                    const crypto::SignatureScheme& scheme,
                                                    std::string_view digest,
                                                    const Loaded& session) {
  ASSIGN_OR_RETURN(const TPMT_SIG_SCHEME tpm_scheme, TpmScheme(scheme));
  TPM2B_DIGEST input{};
  if (digest.size() != crypto::DigestSize(scheme.hash) || !Fill(input.size, input.buffer, digest)) {
    return InvalidArgument("digest has {} bytes, wanted {}", digest.size(),
                           crypto::DigestSize(scheme.hash));
  }
  // A signature is no TPM2B, which alone can be encrypted.
  RETURN_IF_ERROR(esys_.Run("set up a session with the TPM", [&] {
    return ESYS(TRSess_SetAttributes)(esys_.get(), session.get(), 0, TPMA_SESSION_ENCRYPT);
  }));
  TPMT_TK_HASHCHECK no_ticket{};
  no_ticket.tag = TPM2_ST_HASHCHECK;
  no_ticket.hierarchy = TPM2_RH_NULL;
  TPMT_SIGNATURE* raw = nullptr;
  RETURN_IF_ERROR(esys_.Run("sign", [&] {
    return ESYS(Sign)(esys_.get(), key.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE, &input,
                      &tpm_scheme, &no_ticket, &raw);
  }));
  const EsysPtr<TPMT_SIGNATURE> signature(raw);
  return SignatureBytes(*signature);
}

}  // namespace assay::tpm
