// SPDX-License-Identifier: GPL-3.0-or-later
// Keys under the owner's storage root keys: how they are made, loaded and signed with. Owned by the
// TPM's thread.
#pragma once

#include <string>
#include <string_view>

#include "tpm/esys.h"
#include "tpm/primary_keys.h"
#include "tpm/tpm.h"

namespace assay::tpm {

class KeyCommands final {
 public:
  // What a key is for.
  struct Purpose {
    std::string_view name;     // In messages: "the DevID key".
    absl::StatusCode foreign;  // Of the refusal when its blobs are not this TPM's.
  };

  // Both must outlive it.
  KeyCommands(Esys& esys, PrimaryKeys& primary_keys) : esys_(esys), primary_keys_(primary_keys) {}

  // As the Tpm's functions of these names.
  absl::StatusOr<KeyBlobs> CreateKey(crypto::KeyType type, const Passwords& passwords);
  absl::Status CheckKey(const KeyBlobs& key, const Passwords& passwords);
  absl::StatusOr<std::string> Sign(const KeyBlobs& key, const crypto::SignatureScheme& scheme,
                                   const std::string& digest, const Passwords& passwords);

  // Makes a key of this template under the storage root key of its algorithm.
  absl::StatusOr<KeyBlobs> Create(const TPM2B_PUBLIC& key, const Secret& password,
                                  const Passwords& passwords);
  absl::StatusOr<Loaded> Load(const Purpose& purpose, const KeyBlobs& blobs,
                              const Passwords& passwords, const Loaded& session);
  // Signs a digest of the scheme's hash with a key whose password is set. The session encrypts no
  // response any more.
  absl::StatusOr<std::string> SignLoaded(const Loaded& key, const crypto::SignatureScheme& scheme,
                                         std::string_view digest, const Loaded& session);

 private:
  Esys& esys_;
  PrimaryKeys& primary_keys_;
};

}  // namespace assay::tpm
