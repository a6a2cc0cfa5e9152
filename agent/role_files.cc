// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/files.h"
#include "base/unique_fd.h"

namespace assay {
namespace {

// What the identity role writes: these names, and while it writes them these with an ending.
constexpr std::string_view kStateFiles[] = {"agent-data.json", "keys.json", "tpm-agent-keys",
                                            "tpm-devid-"};

bool IsStateFile(std::string_view name) {
  return std::any_of(std::begin(kStateFiles), std::end(kStateFiles),
                     [name](std::string_view known) { return name.starts_with(known); });
}

// Root's, or of the time before the machine had a user for the role.
bool IsOursToGive(uid_t owner) { return owner == 0 || owner == SpecOf(roles::IDENTITY).unnamed_id; }

absl::StatusOr<std::vector<std::string>> NamesIn(int folder, const std::string& path) {
  UniqueFd again(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(again.get()), closedir);
  if (entries == nullptr) {
    return ErrnoStatus(errno, fmt::format("listing folder {}", path));
  }
  again.Release();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(entries.get())) {
    if (const std::string_view name = entry->d_name; name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  return names;
}

absl::Status GiveFile(int folder, const std::string& name, const User& user) {
  UniqueFd file(
      openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      !IsOursToGive(info.st_uid) || info.st_nlink != 1) {
    return absl::OkStatus();
  }
  return fchown(file.get(), user.uid, user.gid) == 0
             ? absl::OkStatus()
             : ErrnoStatus(errno, fmt::format("giving {} to user {}", name, user.name));
}

absl::Status GiveStateFiles(int folder, const std::vector<std::string>& names, const User& user) {
  for (const std::string& name : names) {
    if (IsStateFile(name)) {
      RETURN_IF_ERROR(GiveFile(folder, name, user));
    }
  }
  return absl::OkStatus();
}

// Too many look at these to have their modes changed for one program.
bool IsSystems(const std::string& path) {
  constexpr std::string_view kFolders[] = {
      "/",      "/bin", "/boot", "/dev",  "/etc",       "/home",    "/lib",     "/lib64",
      "/media", "/mnt", "/opt",  "/proc", "/root",      "/run",     "/sbin",    "/srv",
      "/sys",   "/tmp", "/usr",  "/var",  "/var/cache", "/var/lib", "/var/log", "/var/tmp"};
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  return error || std::find(std::begin(kFolders), std::end(kFolders), real) != std::end(kFolders);
}

absl::Status ShareOpenFolder(int folder, const std::string& path, const User& user,
                             std::string_view other) {
  struct stat info {};
  if (fstat(folder, &info) != 0) {
    return ErrnoStatus(errno, fmt::format("looking at folder {}", path));
  }
  // A group that has it already would get to write in it.
  const bool is_roots = info.st_uid == 0 && (info.st_gid == 0 || info.st_gid == user.gid);
  if (!is_roots || (info.st_mode & S_IWOTH) != 0 || IsSystems(path)) {
    return FailedPrecondition(
        "folder {} holds {}, which is not the agent's: name a folder of its own in the "
        "configuration, or give this one to user {}",
        path, Quoted(other), user.name);
  }
  const mode_t mode = (info.st_mode & 0777) | S_ISVTX | S_IRWXG;
  // Sticky first: at no time may the group replace what is root's.
  if (fchmod(folder, (info.st_mode & 0777) | S_ISVTX) != 0 ||
      fchown(folder, static_cast<uid_t>(-1), user.gid) != 0 || fchmod(folder, mode) != 0) {
    return ErrnoStatus(errno, fmt::format("sharing folder {} with user {}", path, user.name));
  }
  return absl::OkStatus();
}

absl::Status GiveOpenFolder(int folder, const std::string& path, const User& user,
                            const std::vector<std::string>& beside) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder, path));
  const auto other = std::find_if(names.begin(), names.end(), [&beside](const std::string& name) {
    return !IsStateFile(name) && std::find(beside.begin(), beside.end(), name) == beside.end();
  });
  if (other != names.end()) {
    RETURN_IF_ERROR(ShareOpenFolder(folder, path, user, *other));
  }
  RETURN_IF_ERROR(GiveStateFiles(folder, names, user));
  return other != names.end() || fchown(folder, user.uid, user.gid) == 0
             ? absl::OkStatus()
             : ErrnoStatus(errno, fmt::format("giving folder {} to user {}", path, user.name));
}

bool MayEnter(const struct stat& folder, const User& user) {
  if (folder.st_uid == user.uid) {
    return (folder.st_mode & S_IXUSR) != 0;
  }
  const bool in_group =
      folder.st_gid == user.gid ||
      std::find(user.groups.begin(), user.groups.end(), folder.st_gid) != user.groups.end();
  return (folder.st_mode & (in_group ? S_IXGRP : S_IXOTH)) != 0;
}

bool IsTpm(const struct stat& info) { return S_ISCHR(info.st_mode) || S_ISSOCK(info.st_mode); }

}  // namespace

absl::Status GiveFolder(const std::string& path, const User& user,
                        const std::vector<std::string>& beside) {
  struct stat before {};
  if (stat(path.c_str(), &before) != 0 && errno == ENOENT) {
    RETURN_IF_ERROR(MakeFolders(FolderOf(path), 0755));
    RETURN_IF_ERROR(MakeFolders(path, 0700));
  }
  UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!folder.valid() || fstat(folder.get(), &info) != 0) {
    return ErrnoStatus(errno, fmt::format("opening folder {}", path));
  }
  if (info.st_uid != user.uid) {
    if (!IsOursToGive(info.st_uid)) {
      return FailedPrecondition(
          "folder {} belongs to user {}, and the identity role runs as user {}: give it the folder "
          "and what is in it",
          path, info.st_uid, user.name);
    }
    RETURN_IF_ERROR(GiveOpenFolder(folder.get(), path, user, beside));
  } else {
    // spire-agent has run here since, as root.
    ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder.get(), path));
    RETURN_IF_ERROR(GiveStateFiles(folder.get(), names, user));
  }
  return CheckReachable(path, user);
}

absl::Status LetRead(const std::string& path, const User& user) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_uid != 0 || info.st_nlink != 1 || (info.st_mode & S_IROTH) != 0 ||
      (info.st_gid != 0 && (info.st_mode & S_IRWXG) != 0)) {
    return absl::OkStatus();
  }
  const mode_t mode = (info.st_mode & 07707) | S_IRGRP;
  if (fchown(file.get(), static_cast<uid_t>(-1), user.gid) != 0 ||
      fchmod(file.get(), mode & 0777) != 0) {
    return ErrnoStatus(errno, fmt::format("letting user {} read {}", user.name, path));
  }
  return absl::OkStatus();
}

absl::Status LetUseTpm(const std::string& path, const User& user) {
  UniqueFd file(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0 || !IsTpm(info) || info.st_uid != 0 ||
      info.st_gid != 0) {
    return absl::OkStatus();
  }
  // A descriptor of O_PATH is changed by its name in /proc: nothing has been opened.
  const std::string name = fmt::format("/proc/self/fd/{}", file.get());
  if (fchownat(file.get(), "", static_cast<uid_t>(-1), user.gid, AT_EMPTY_PATH) != 0 ||
      chmod(name.c_str(), (info.st_mode & 0707) | S_IRGRP | S_IWGRP) != 0) {
    return ErrnoStatus(errno, fmt::format("letting user {} use {}", user.name, path));
  }
  return absl::OkStatus();
}

absl::Status CheckReachable(const std::string& path, const User& user) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  std::filesystem::path folder;
  for (const std::filesystem::path& part : real.parent_path()) {
    folder /= part;
    struct stat info {};
    if (stat(folder.c_str(), &info) == 0 && !MayEnter(info, user)) {
      return FailedPrecondition(
          "user {}, as whom the identity role runs, may not enter {} on the way to {}: permit it "
          "(chmod o+x), or choose another place",
          user.name, folder.string(), path);
    }
  }
  return absl::OkStatus();
}

}  // namespace assay
