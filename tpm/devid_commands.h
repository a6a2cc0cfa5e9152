// SPDX-License-Identifier: GPL-3.0-or-later
// Attestation by a DevID, command by command, on one connection. No more than three objects and two
// sessions are loaded at once, all that the smallest TPM has room for. Owned by the TPM's thread.
#pragma once

#include <string>

#include "tpm/esys.h"
#include "tpm/key_commands.h"
#include "tpm/primary_keys.h"
#include "tpm/refused_passwords.h"
#include "tpm/tpm.h"

namespace assay::tpm {

class DevIdCommands final {
 public:
  // All must outlive it.
  DevIdCommands(Esys& esys, RefusedPasswords& refused, PrimaryKeys& primary_keys, KeyCommands& keys)
      : esys_(esys), refused_(refused), primary_keys_(primary_keys), keys_(keys) {}

  // As the Tpm's functions of these names.
  absl::StatusOr<KeyBlobs> CreateDevId(crypto::KeyType type, const Passwords& passwords);
  absl::StatusOr<KeyBlobs> CreateAk(const Passwords& passwords);
  absl::StatusOr<DevIdEvidence> AttestDevId(const KeyBlobs& devid, const KeyBlobs& ak,
                                            const Passwords& passwords);
  absl::StatusOr<std::string> ActivateCredential(const KeyBlobs& ak, const std::string& credential,
                                                 const std::string& secret,
                                                 const Passwords& passwords);
  absl::StatusOr<std::string> SignWithDevId(const KeyBlobs& devid, const std::string& digest,
                                            const Passwords& passwords);

 private:
  absl::StatusOr<std::string> ReadEndorsementCertificate();
  absl::StatusOr<std::string> ReadEndorsementPublic(const Passwords& passwords,
                                                    const Loaded& session);
  // A policy session in which knowledge of the endorsement hierarchy's password is shown.
  absl::StatusOr<Loaded> StartEndorsementPolicy(const Passwords& passwords, const Loaded& session);
  // The error of a command that was authorised with the DevID key's password.
  absl::Status DevIdError(const KeyBlobs& devid, const Passwords& passwords,
                          const absl::Status& error);

  Esys& esys_;
  RefusedPasswords& refused_;
  PrimaryKeys& primary_keys_;
  KeyCommands& keys_;
};

}  // namespace assay::tpm
