// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/files.h"
#include "base/guarded_files.h"

namespace assay {
namespace {

// Whoever may write in its folder, or above it, must not lead the monitor to another file.
absl::StatusOr<UniqueFd> OpenFolder(const std::string& path) {
  if (geteuid() == 0) {
    ASSIGN_OR_RETURN(TenantFolder folder, OpenTenantFolder(path, {}, std::nullopt));
    return std::move(folder.fd);
  }
  UniqueFd folder(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  return folder.valid() ? absl::StatusOr<UniqueFd>(std::move(folder))
                        : ErrnoStatus(errno, fmt::format("opening {}", path));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenLogFile(const std::string& path, int access, mode_t mode) {
  const absl::StatusOr<UniqueFd> folder = OpenFolder(FolderOf(path));
  RETURN_IF_ERROR(WithContext(folder.status(), "the log file's folder"));
  UniqueFd file(openat(folder->get(), std::filesystem::path(path).filename().c_str(),
                       access | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK,
                       mode));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0) {
    return ErrnoStatus(errno, fmt::format("opening the log file {}", path));
  }
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1 || info.st_uid != geteuid()) {
    return FailedPrecondition(
        "log file {} is not a regular file with this one name that belongs to user {}", path,
        geteuid());
  }
  return file;
}

}  // namespace assay
