// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <deque>
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

// Makes one folder in the open one; path is its whole name, for errors.
absl::Status MakeFolder(int above, const std::string& name, mode_t mode, const std::string& path) {
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

// Goes down a path one component at a time, each opened in the one before it.
class GuardedWalk {
 public:
  GuardedWalk(const std::filesystem::path& absolute, mode_t mode) : mode_(mode) {
    Prepend(absolute);
  }

  absl::Status Run() {
    RETURN_IF_ERROR(StartAtRoot());
    while (!left_.empty()) {
      const std::string name = left_.front().string();
      left_.pop_front();
      if (name == "..") {
        RETURN_IF_ERROR(GoUp());
      } else if (!name.empty() && name != ".") {
        RETURN_IF_ERROR(Enter(name));
      }
    }
    return absl::OkStatus();
  }

 private:
  // As many as the kernel follows.
  static constexpr int kMaxLinks = 40;

  void Prepend(const std::filesystem::path& path) {
    const std::filesystem::path names = path.relative_path();
    left_.insert(left_.begin(), names.begin(), names.end());
  }

  absl::Status StartAtRoot() {
    at_ = "/";
    sticky_ = false;
    folder_.Reset(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return folder_.valid() ? absl::OkStatus() : ErrnoStatus(errno, "opening /");
  }

  absl::Status GoUp() {
    struct stat info {};
    UniqueFd above(openat(folder_.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!above.valid() || fstat(above.get(), &info) != 0) {
      return ErrnoStatus(errno, fmt::format("opening the folder above {}", at_));
    }
    folder_ = std::move(above);
    at_ = FolderOf(at_);
    sticky_ = (info.st_mode & S_ISVTX) != 0;
    return absl::OkStatus();
  }

  absl::Status Enter(const std::string& name) {
    const std::string path = at_ == "/" ? at_ + name : at_ + "/" + name;
    UniqueFd next(Open(name));
    if (!next.valid() && errno == ENOENT) {
      RETURN_IF_ERROR(MakeFolder(folder_.get(), name, mode_, path));
      next.Reset(Open(name));
    }
    struct stat info {};
    if (!next.valid() || fstat(next.get(), &info) != 0) {
      return ErrnoStatus(errno, fmt::format("opening {}", path));
    }
    if (info.st_uid != 0 && info.st_uid != geteuid()) {
      return FailedPrecondition(
          "{} belongs to user {}, who could replace what is in it: give it to root or to user {}, "
          "or choose another path",
          path, info.st_uid, geteuid());
    }
    if (S_ISLNK(info.st_mode)) {
      return Follow(next.get(), path);
    }
    if (!S_ISDIR(info.st_mode)) {
      return FailedPrecondition("{} is not a folder", path);
    }
    RETURN_IF_ERROR(CheckWriters(info, path));
    folder_ = std::move(next);
    at_ = path;
    sticky_ = (info.st_mode & S_ISVTX) != 0;
    return absl::OkStatus();
  }

  int Open(const std::string& name) const {
    return openat(folder_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  }

  static absl::Status CheckWriters(const struct stat& info, const std::string& path) {
    const bool by_group =
        (info.st_mode & S_IWGRP) != 0 && info.st_gid != 0 && info.st_gid != getegid();
    if ((info.st_mode & S_ISVTX) != 0 || (!by_group && (info.st_mode & S_IWOTH) == 0)) {
      return absl::OkStatus();
    }
    return FailedPrecondition(
        "{} is writable by {}, who could replace what is in it: take that right away (chmod {}), "
        "or choose another path",
        path, by_group ? fmt::format("group {}", info.st_gid) : "everybody",
        by_group ? "g-w" : "o-w");
  }

  absl::Status Follow(int link, const std::string& path) {
    std::string target(PATH_MAX, '\0');
    const ssize_t size = readlinkat(link, "", target.data(), target.size());
    if (size <= 0 || static_cast<size_t>(size) == target.size() || ++links_ > kMaxLinks) {
      return FailedPrecondition("{} is a symbolic link that cannot be followed", path);
    }
    if (sticky_) {
      return FailedPrecondition(
          "{} is a symbolic link in a folder that everybody may write to: "
          "name the folder itself",
          path);
    }
    target.resize(static_cast<size_t>(size));
    const std::filesystem::path to = target;
    Prepend(to);
    return to.is_absolute() ? StartAtRoot() : absl::OkStatus();
  }

  const mode_t mode_;
  std::deque<std::filesystem::path> left_;
  UniqueFd folder_;
  std::string at_;
  bool sticky_ = false;  // Of folder_.
  int links_ = 0;
};

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
  return MakeFolder(above.get(), name.string(), mode, path);
}

absl::Status MakeGuardedFolders(const std::string& path, mode_t mode) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error || path.empty()) {
    return InvalidArgument("{} is no path of a folder", Quoted(path));
  }
  return GuardedWalk(absolute, mode).Run();
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace assay
