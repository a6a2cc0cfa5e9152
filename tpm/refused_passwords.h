// SPDX-License-Identifier: GPL-3.0-or-later
// Passwords that the TPM refused. Trying one again cannot succeed and, for a key under
// dictionary-attack protection, soon locks the whole TPM; so it is refused here.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/digest.h"

namespace assay::tpm {

class RefusedPasswords final {
 public:
  // PermissionDenied when this password was refused for this object, named as in messages.
  absl::Status Check(std::string_view object, std::string_view name, const Secret& password) const {
    if (!refused_.contains(Fingerprint(object, password))) {
      return absl::OkStatus();
    }
    return PermissionDenied(
        "the TPM refused the password of {} before, and is not asked again: set the right one and "
        "restart",
        name);
  }
  void Remember(std::string_view object, const Secret& password) {
    refused_.insert(Fingerprint(object, password));
  }

 private:
  std::string Fingerprint(std::string_view object, const Secret& password) const {
    return crypto::Hmac(crypto::Hash::kSha256, key_.Reveal(),
                        crypto::Digest(crypto::Hash::kSha256, object).append(password.Reveal()));
  }

  const Secret key_ = crypto::RandomSecret(32);
  std::set<std::string> refused_;
};

}  // namespace assay::tpm
