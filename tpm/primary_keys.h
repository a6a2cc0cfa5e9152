// SPDX-License-Identifier: GPL-3.0-or-later
// The TPM's primary keys, derived when first needed and then swapped out (TPM2_ContextSave), for
// deriving an RSA key takes a TPM seconds; and the sessions that hide what crosses the bus, salted
// with a primary key of the null hierarchy, which needs no password. Owned by the TPM's thread.
#pragma once

#include <map>

#include "tpm/esys.h"
#include "tpm/refused_passwords.h"

namespace assay::tpm {

enum class PrimaryKey { kSalt, kRsaStorage, kEccStorage, kEndorsement };

class PrimaryKeys final {
 public:
  // Both must outlive it.
  PrimaryKeys(Esys& esys, RefusedPasswords& refused) : esys_(esys), refused_(refused) {}

  // An HMAC session that encrypts the first parameter of each command and of each response.
  absl::StatusOr<Loaded> StartSession();
  // Loads the key into a slot; password is that of its hierarchy, which deriving it needs.
  absl::StatusOr<Loaded> Load(PrimaryKey which, const Secret& password, const Loaded& session);
  // Sets a hierarchy's password for the commands that follow. PermissionDenied when the TPM refused
  // it before.
  absl::Status SetHierarchyPassword(ESYS_TR hierarchy, const Secret& password);
  // The status of a command that was authorised with a hierarchy's password.
  absl::Status HierarchyStatus(ESYS_TR hierarchy, const Secret& password, TSS2_RC code,
                               std::string_view what);

 private:
  absl::StatusOr<Loaded> Derive(PrimaryKey which, const Secret& password, ESYS_TR session);

  Esys& esys_;
  RefusedPasswords& refused_;
  std::map<PrimaryKey, EsysPtr<TPMS_CONTEXT>> saved_;
};

}  // namespace assay::tpm
