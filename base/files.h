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
// Makes one folder in an open one, with this mode whatever the umask; the path is its whole name,
// for errors. One that is there stays as it is.
absl::Status MakeFolderAt(int above, const std::string& name, mode_t mode, const std::string& path);
// The folder part of a path: "/a/b" gives "/a", "b" gives ".".
std::string FolderOf(const std::string& path);

}  // namespace assay
