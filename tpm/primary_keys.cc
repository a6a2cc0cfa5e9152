// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/primary_keys.h"

#include "tpm/return_code.h"
#include "tpm/templates.h"

namespace assay::tpm {
namespace {

struct Derivation {
  ESYS_TR hierarchy;
  TPM2B_PUBLIC key;
  std::string_view name;
};

Derivation DerivationOf(PrimaryKey which) {
  switch (which) {
    case PrimaryKey::kRsaStorage:
      return {ESYS_TR_RH_OWNER, RsaStorageTemplate(), "derive the RSA storage root key"};
    case PrimaryKey::kEccStorage:
      return {ESYS_TR_RH_OWNER, EccStorageTemplate(), "derive the ECC storage root key"};
    case PrimaryKey::kEndorsement:
      return {ESYS_TR_RH_ENDORSEMENT, RsaEndorsementTemplate(), "derive the endorsement key"};
    case PrimaryKey::kSalt:
      break;
  }
  return {ESYS_TR_RH_NULL, EccStorageTemplate(), "derive a key to salt sessions with"};
}

std::string_view HierarchyName(ESYS_TR hierarchy) {
  return hierarchy == ESYS_TR_RH_OWNER ? "the owner hierarchy" : "the endorsement hierarchy";
}

}  // namespace

absl::StatusOr<Loaded> PrimaryKeys::StartSession() {
  ASSIGN_OR_RETURN(const Loaded salt, Load(PrimaryKey::kSalt, Secret(), Loaded()));
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  ESYS_TR handle = ESYS_TR_NONE;
  RETURN_IF_ERROR(esys_.Run("start a session with the TPM", [&] {
    return ESYS(StartAuthSession)(esys_.get(), salt.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, nullptr, TPM2_SE_HMAC, &symmetric, TPM2_ALG_SHA256,
                                  &handle);
  }));
  Loaded session(esys_, handle);
  RETURN_IF_ERROR(esys_.Run("set up a session with the TPM", [&] {
    return ESYS(TRSess_SetAttributes)(
        esys_.get(), handle,
        TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION, 0xff);
  }));
  return session;
}

absl::StatusOr<Loaded> PrimaryKeys::Load(PrimaryKey which, const Secret& password,
                                         const Loaded& session) {
  if (const auto saved = saved_.find(which); saved != saved_.end()) {
    ESYS_TR handle = ESYS_TR_NONE;
    const TSS2_RC code =
        esys_.Execute([&] { return ESYS(ContextLoad)(esys_.get(), saved->second.get(), &handle); });
    if (code == TSS2_RC_SUCCESS) {
      return Loaded(esys_, handle);
    }
    if (!IsBadParameter(code)) {
      return TpmError(code, "load a saved key");
    }
    saved_.erase(saved);  // The TPM was restarted or cleared since.
  }
  return Derive(which, password, session.get());
}

absl::StatusOr<Loaded> PrimaryKeys::Derive(PrimaryKey which, const Secret& password,
                                           ESYS_TR session) {
  const Derivation derivation = DerivationOf(which);
  const bool salt = which == PrimaryKey::kSalt;
  if (!salt) {
    RETURN_IF_ERROR(SetHierarchyPassword(derivation.hierarchy, password));
  }
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC code = esys_.Execute([&] {
    return ESYS(CreatePrimary)(esys_.get(), derivation.hierarchy, salt ? ESYS_TR_PASSWORD : session,
                               ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &derivation.key, &outside,
                               &pcrs, &handle, nullptr, nullptr, nullptr, nullptr);
  });
  RETURN_IF_ERROR(HierarchyStatus(derivation.hierarchy, password, code, derivation.name));
  Loaded key(esys_, handle);
  TPMS_CONTEXT* context = nullptr;
  RETURN_IF_ERROR(esys_.Run("save a key's context",
                            [&] { return ESYS(ContextSave)(esys_.get(), handle, &context); }));
  saved_[which].reset(context);
  return key;
}

absl::Status PrimaryKeys::SetHierarchyPassword(ESYS_TR hierarchy, const Secret& password) {
  const std::string_view name = HierarchyName(hierarchy);
  RETURN_IF_ERROR(refused_.Check(name, name, password));
  return WithContext(esys_.SetPassword(hierarchy, password), name);
}

absl::Status PrimaryKeys::HierarchyStatus(ESYS_TR hierarchy, const Secret& password, TSS2_RC code,
                                          std::string_view what) {
  if (code == TSS2_RC_SUCCESS) {
    return absl::OkStatus();
  }
  if (!IsWrongPassword(code)) {
    return TpmError(code, what);
  }
  const std::string_view name = HierarchyName(hierarchy);
  refused_.Remember(name, password);
  return WithContext(TpmError(code, what), fmt::format("the TPM refuses the password of {}", name));
}

}  // namespace assay::tpm
