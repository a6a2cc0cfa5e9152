// SPDX-License-Identifier: GPL-3.0-or-later
// The folder of the authority's private keys, mode 0700: one PKCS#8 file of mode 0600 for each
// signing authority that has its key still. Or none, for keys that end with the process. Not
// thread-safe.
#pragma once

#include <memory>
#include <string>

#include "authority/signing_authority.h"
#include "base/status.h"

namespace assay {

class KeyFolder final {
 public:
  // Makes the folder when it is absent; one that others may enter is FailedPrecondition.
  static absl::StatusOr<KeyFolder> Create(const std::string& path);

  // Keeps nothing: there is never a key to load.
  static KeyFolder None() { return KeyFolder(""); }

  // Writes the key of an authority that has one, and removes the file of one that has none.
  absl::Status Save(const SigningAuthority& authority) const;
  // The key of this authority; one that is not its own is DataLoss, one that was not kept
  // NotFound.
  absl::StatusOr<std::shared_ptr<const crypto::PrivateKey>> Load(
      const SigningAuthority& authority) const;

 private:
  explicit KeyFolder(std::string path) : path_(std::move(path)) {}
  std::string PathOf(const SigningAuthority& authority) const;

  std::string path_;  // Empty: none.
};

}  // namespace assay
