// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/guarded_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <deque>
#include <filesystem>
#include <utility>

#include "base/files.h"

namespace assay {
namespace {

struct WalkOptions {
  std::optional<mode_t> make = {};  // What is absent, as folders of this mode.
  bool to_file = false;             // The path's end is a regular file.
  std::vector<uid_t> tenants = {};  // At a folder of theirs the walk ends.
};

// Goes down a path one component at a time, each opened in the one before it.
class GuardedWalk {
 public:
  explicit GuardedWalk(WalkOptions options) : options_(std::move(options)) {}

  // To be called once.
  absl::Status Run(const std::string& path) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    if (error || path.empty()) {
      return InvalidArgument("{} is no path", Quoted(path));
    }
    Prepend(absolute);
    RETURN_IF_ERROR(StartAtRoot());
    while (!left_.empty() && !at_tenants_) {
      const std::string name = left_.front().string();
      left_.pop_front();
      if (name == "..") {
        RETURN_IF_ERROR(GoUp());
      } else if (!name.empty() && name != ".") {
        RETURN_IF_ERROR(Enter(name));
      }
    }
    return options_.to_file && !file_.valid() ? FailedPrecondition("{} is not a regular file", at_)
                                              : absl::OkStatus();
  }

  // Where the walk ended, of O_PATH.
  UniqueFd TakeEnd() { return std::move(file_.valid() ? file_ : folder_); }
  // Whether a tenant's folder is above the path's end.
  bool ended_early() const {
    return std::any_of(left_.begin(), left_.end(), [](const std::filesystem::path& name) {
      return !name.empty() && name != ".";
    });
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
    if (!next.valid() && errno == ENOENT && options_.make.has_value()) {
      RETURN_IF_ERROR(MakeFolderAt(folder_.get(), name, *options_.make, path));
      next.Reset(Open(name));
    }
    struct stat info {};
    if (!next.valid() || fstat(next.get(), &info) != 0) {
      return ErrnoStatus(errno, fmt::format("opening {}", path));
    }
    at_tenants_ = S_ISDIR(info.st_mode) && IsTenant(info.st_uid);
    if (!at_tenants_ && info.st_uid != 0 && info.st_uid != geteuid()) {
      return FailedPrecondition(
          "{} belongs to user {}, who could replace what is in it: give it to root or to user {}, "
          "or choose another path",
          path, info.st_uid, geteuid());
    }
    if (S_ISLNK(info.st_mode)) {
      return Follow(next.get(), path);
    }
    if (options_.to_file && left_.empty() && S_ISREG(info.st_mode)) {
      file_ = std::move(next);
      return CheckWriters(info, path);
    }
    if (!S_ISDIR(info.st_mode)) {
      return FailedPrecondition("{} is not a {}", path,
                                left_.empty() && options_.to_file ? "regular file" : "folder");
    }
    if (!at_tenants_) {
      RETURN_IF_ERROR(CheckWriters(info, path));
    }
    folder_ = std::move(next);
    at_ = path;
    sticky_ = (info.st_mode & S_ISVTX) != 0;
    return absl::OkStatus();
  }

  bool IsTenant(uid_t user) const {
    return std::find(options_.tenants.begin(), options_.tenants.end(), user) !=
           options_.tenants.end();
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

  const WalkOptions options_;
  std::deque<std::filesystem::path> left_;
  UniqueFd folder_;
  UniqueFd file_;
  std::string at_;
  bool at_tenants_ = false;
  bool sticky_ = false;  // Of folder_.
  int links_ = 0;
};

}  // namespace

absl::Status MakeGuardedFolders(const std::string& path, mode_t mode) {
  return GuardedWalk({.make = mode}).Run(path);
}

absl::StatusOr<Secret> ReadGuardedSecretFile(const std::string& path, size_t max_bytes) {
  GuardedWalk walk({.to_file = true});
  RETURN_IF_ERROR(walk.Run(path));
  const UniqueFd end = walk.TakeEnd();
  // Of O_PATH: it is opened for reading by its name in /proc.
  absl::StatusOr<Secret> text =
      ReadSecretFile(fmt::format("/proc/self/fd/{}", end.get()), max_bytes);
  return text.ok() ? std::move(text) : WithContext(text.status(), path);
}

absl::StatusOr<TenantFolder> OpenTenantFolder(const std::string& path,
                                              const std::vector<uid_t>& tenants,
                                              std::optional<mode_t> make) {
  GuardedWalk walk({.make = make, .tenants = tenants});
  RETURN_IF_ERROR(walk.Run(path));
  return TenantFolder{walk.ended_early() ? UniqueFd() : walk.TakeEnd()};
}

}  // namespace assay
