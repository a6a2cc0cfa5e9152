// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/refused_passwords.h"

#include <algorithm>

#include "base/files.h"
#include "base/log.h"
#include "crypto/digest.h"

namespace assay::tpm {
namespace {

constexpr size_t kHashBytes = 32;  // Of the salt too.
constexpr size_t kMostRefused = 64;
constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0750;

}  // namespace

RefusedPasswords::RefusedPasswords(std::string path) : path_(std::move(path)) {
  const std::string bytes =
      path_.empty() ? "" : ReadFile(path_, (kMostRefused + 1) * kHashBytes).value_or("");
  if (bytes.empty() || bytes.size() % kHashBytes != 0) {
    salt_ = crypto::RandomBytes(kHashBytes);
    return;
  }
  salt_ = bytes.substr(0, kHashBytes);
  for (size_t at = kHashBytes; at < bytes.size(); at += kHashBytes) {
    refused_.push_back(bytes.substr(at, kHashBytes));
  }
}

absl::Status RefusedPasswords::Check(std::string_view object, std::string_view name,
                                     const Secret& password) const {
  const std::string fingerprint = Fingerprint(object, password);
  if (std::find(refused_.begin(), refused_.end(), fingerprint) == refused_.end()) {
    return absl::OkStatus();
  }
  return PermissionDenied(
      "the TPM refused the password of {} before, and is not asked again: set the right one{} and "
      "restart",
      name, path_.empty() ? "" : fmt::format(" (or remove {}, if it is right by now)", path_));
}

void RefusedPasswords::Remember(std::string_view object, const Secret& password) {
  refused_.push_back(Fingerprint(object, password));
  if (refused_.size() > kMostRefused) {
    refused_.erase(refused_.begin());
  }
  if (path_.empty()) {
    return;
  }
  std::string bytes = salt_;
  for (const std::string& fingerprint : refused_) {
    bytes += fingerprint;
  }
  absl::Status saved = MakeFolders(FolderOf(path_), kFolderMode);
  saved.Update(saved.ok() ? WriteFileAtomically(path_, bytes, kFileMode) : absl::OkStatus());
  if (!saved.ok()) {
    log::Warn("Cannot keep that the TPM refused a password: a restart tries it once more",
              {{"error", saved}});
  }
}

std::string RefusedPasswords::Fingerprint(std::string_view object, const Secret& password) const {
  return crypto::Hmac(crypto::Hash::kSha256, salt_ + crypto::Digest(crypto::Hash::kSha256, object),
                      password.Reveal());
}

}  // namespace assay::tpm
