// SPDX-License-Identifier: GPL-3.0-or-later
// Folders and files that nobody else could have put where they are. They and all folders above them
// belong to root or to this process's effective user, and are writable by no other user or group
// (but root's and the own), unless sticky; a symbolic link is followed only where both it and the
// folder that it is in are such, and that one is not sticky. FailedPrecondition names what is not.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

// As MakeFolders of base/files.h, such as for a socket's folder.
absl::Status MakeGuardedFolders(const std::string& path, mode_t mode);

// As ReadSecretFile of base/files.h, of a regular file.
absl::StatusOr<Secret> ReadGuardedSecretFile(const std::string& path, size_t max_bytes);

struct TenantFolder {
  UniqueFd fd;  // Of O_PATH. Invalid: the path leads through a folder of a tenant.
};
// Opens a folder that may be one of these users'. What lies below a folder of theirs is theirs to
// make and to change: nothing of it is looked at. What is absent is made with this mode, if there
// is one; else it is NotFound.
absl::StatusOr<TenantFolder> OpenTenantFolder(const std::string& path,
                                              const std::vector<uid_t>& tenants,
                                              std::optional<mode_t> make);

}  // namespace assay
