// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/unique_fd.h"

namespace assay {
namespace {

absl::Status ReadAll(int fd, size_t max_bytes, std::string& bytes) {
  // Room for everything is reserved first, so that no reallocation leaves a copy behind.
  bytes.reserve(max_bytes < 65536 ? max_bytes + 1 : 65536);
  char buffer[16384];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return ErrnoStatus(errno, "reading");
    }
    if (got == 0) {
      Wipe(buffer, sizeof(buffer));
      return absl::OkStatus();
    }
    if (bytes.size() + static_cast<size_t>(got) > max_bytes) {
      return InvalidArgument("larger than the {} bytes allowed here", max_bytes);
    }
    bytes.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    if (wrote < 0) {
      return ErrnoStatus(errno, "writing");
    }
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) {
    return ErrnoStatus(errno, fmt::format("opening {}", path));
  }
  std::string bytes;
  RETURN_IF_ERROR(WithContext(ReadAll(fd.get(), max_bytes, bytes), path));
  return bytes;
}

absl::StatusOr<Secret> ReadSecretFile(const std::string& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, max_bytes));
  return Secret::TakeFrom(bytes);
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes, mode_t mode) {
  std::string temporary = path + ".XXXXXX";
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(errno, fmt::format("creating a file beside {}", path));
  }
  absl::Status written = WriteAll(fd.get(), bytes);
  if (written.ok() && (fchmod(fd.get(), mode) != 0 || fsync(fd.get()) != 0 ||
                       rename(temporary.c_str(), path.c_str()) != 0)) {
    written = ErrnoStatus(errno, "replacing");
  }
  if (!written.ok()) {
    unlink(temporary.c_str());
    return WithContext(written, path);
  }
  UniqueFd folder(open(FolderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) {
    return ErrnoStatus(errno, fmt::format("syncing the folder of {}", path));
  }
  return absl::OkStatus();
}

absl::Status MakeFolderAt(int above, const std::string& name, mode_t mode,
                          const std::string& path) {
  if (mkdirat(above, name.c_str(), mode) != 0) {
    return errno == EEXIST ? absl::OkStatus() : ErrnoStatus(errno, fmt::format("making {}", path));
  }
  // Not by name: in a folder of somebody else's the name may mean another thing already.
  const UniqueFd made(openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!made.valid() || fstat(made.get(), &info) != 0 || info.st_uid != geteuid() ||
      fchmod(made.get(), mode) != 0) {
    return FailedPrecondition("{} was replaced while it was made: choose a folder of your own",
                              path);
  }
  return absl::OkStatus();
}

absl::Status MakeFolders(const std::string& path, mode_t mode) {
  const std::filesystem::path name = std::filesystem::path(path).filename();
  if (path.empty() || std::filesystem::path(path) == std::filesystem::path(path).root_path()) {
    return absl::OkStatus();
  }
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? absl::OkStatus()
                                 : FailedPrecondition("{} is not a folder", path);
  }
  RETURN_IF_ERROR(MakeFolders(FolderOf(path), mode));
  if (name.empty()) {
    return absl::OkStatus();  // The path ends with a slash.
  }
  const UniqueFd above(open(FolderOf(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!above.valid()) {
    return ErrnoStatus(errno, fmt::format("opening {}", FolderOf(path)));
  }
  return MakeFolderAt(above.get(), name.string(), mode, path);
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace assay
