// SPDX-License-Identifier: GPL-3.0-or-later
// Passwords that the TPM refused. Trying one again cannot succeed and, for a key under
// dictionary-attack protection, soon locks the whole TPM; so it is refused here. With a file they
// are known to later processes too, so that a supervisor's restarts try none again. Not
// thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/status.h"

namespace assay::tpm {

class RefusedPasswords final {
 public:
  // The file keeps keyed hashes, no passwords; one that is damaged is begun anew. Empty: no file.
  explicit RefusedPasswords(std::string path);

  // PermissionDenied when this password was refused for this object, named as in messages.
  absl::Status Check(std::string_view object, std::string_view name, const Secret& password) const;
  void Remember(std::string_view object, const Secret& password);

 private:
  std::string Fingerprint(std::string_view object, const Secret& password) const;

  const std::string path_;
  std::string salt_;
  std::vector<std::string> refused_;  // Fingerprints, the oldest first.
};

}  // namespace assay::tpm
