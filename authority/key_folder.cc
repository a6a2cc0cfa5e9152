// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/key_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "authority/certificate_authority.h"
#include "base/files.h"

namespace assay {

absl::StatusOr<KeyFolder> KeyFolder::Create(const std::string& path) {
  RETURN_IF_ERROR(MakeFolders(path, 0700));
  struct stat seen {};
  if (lstat(path.c_str(), &seen) != 0) {
    return ErrnoStatus(errno, "stat " + path);
  }
  if (!S_ISDIR(seen.st_mode) || (seen.st_mode & 0077) != 0) {
    return FailedPrecondition("key folder {} must be a folder of mode 0700: chmod 700 it", path);
  }
  return KeyFolder(path);
}

absl::Status KeyFolder::Save(const SigningAuthority& authority) const {
  if (path_.empty()) {
    return absl::OkStatus();
  }
  const std::string path = PathOf(authority);
  if (authority.key != nullptr) {
    return WriteFileAtomically(path, authority.key->pkcs8().Reveal(), 0600);
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "remove " + path);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const crypto::PrivateKey>> KeyFolder::Load(
    const SigningAuthority& authority) const {
  if (path_.empty()) {
    return NotFound("its key was in memory alone");
  }
  const std::string path = PathOf(authority);
  ASSIGN_OR_RETURN(const Secret der, ReadSecretFile(path));
  ASSIGN_OR_RETURN(std::shared_ptr<const crypto::PrivateKey> key, crypto::PrivateKey::Parse(der));
  if (key->public_key() != authority.public_key) {
    return DataLoss("{} is the key of something else", path);
  }
  return key;
}

std::string KeyFolder::PathOf(const SigningAuthority& authority) const {
  return fmt::format("{}/{}-{}.key", path_, ToString(authority.kind), authority.id);
}

}  // namespace assay
