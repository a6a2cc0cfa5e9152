// SPDX-License-Identifier: GPL-3.0-or-later
// Whole small files, read with a bound and written so that a crash leaves the old or the new one.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace assay {

constexpr size_t kMaxFileBytes = 4 << 20;

// The bytes of a file; larger than max_bytes is InvalidArgument, absent NotFound.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = kMaxFileBytes);
// As ReadFile, for keys and tokens: no copy of the bytes outlives the Secret.
absl::StatusOr<Secret> ReadSecretFile(const std::string& path, size_t max_bytes = kMaxFileBytes);
// Replaces the file by a new one of this mode: written beside it, synced, renamed, folder synced.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes, mode_t mode);
// Makes the folder and those above it, with this mode whatever the umask; existing ones stay as
// they are.
absl::Status MakeFolders(const std::string& path, mode_t mode);
// As MakeFolders, for a folder in which nobody else may replace anything, such as a socket's. It
// and all above it must belong to root or to this process's effective user, and be writable by no
// other user or group (but root's and the own), unless sticky; a symbolic link is followed only
// where both it and the folder that it is in are such, and that one is not sticky.
// FailedPrecondition names the folder that is not.
absl::Status MakeGuardedFolders(const std::string& path, mode_t mode);
// The folder part of a path: "/a/b" gives "/a", "b" gives ".".
std::string FolderOf(const std::string& path);

}  // namespace assay
