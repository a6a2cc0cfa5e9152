// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>

#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/files.h"
#include "base/guarded_files.h"
#include "base/unique_fd.h"

namespace assay {
namespace {

// What the identity role writes: these, and while it writes them or sets them aside these with an
// ending.
constexpr std::string_view kKeysFile = "keys.json";
constexpr std::string_view kStateFiles[] = {"agent-data.json", kKeysFile, "tpm-agent-keys",
                                            "tpm-devid-ak", "tpm-devid-refused"};

bool IsStateFile(std::string_view name) {
  return std::any_of(
      std::begin(kStateFiles), std::end(kStateFiles), [name](std::string_view known) {
        return name == known || (name.starts_with(known) && name[known.size()] == '.');
      });
}

// Those of whom the role's folders may be: it, and it before the machine had a user for it.
std::vector<uid_t> Tenants(const User& user) {
  return {user.uid, SpecOf(roles::IDENTITY).unnamed_id};
}

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

// A file of the folder's owner that has no other name.
absl::Status GiveFile(int folder, const std::string& name, uid_t owner, const User& user) {
  const UniqueFd file(
      openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_uid != owner || info.st_nlink != 1) {
    return absl::OkStatus();
  }
  return fchown(file.get(), user.uid, user.gid) == 0
             ? absl::OkStatus()
             : ErrnoStatus(errno, fmt::format("giving {} to user {}", name, user.name));
}

// Too many look at these to have their owners or modes changed for one program.
bool IsSystems(int folder) {
  constexpr std::string_view kFolders[] = {
      "/",      "/bin", "/boot", "/dev",  "/etc",       "/home",    "/lib",     "/lib64",
      "/media", "/mnt", "/opt",  "/proc", "/root",      "/run",     "/sbin",    "/srv",
      "/sys",   "/tmp", "/usr",  "/var",  "/var/cache", "/var/lib", "/var/log", "/var/tmp"};
  std::error_code error;
  const std::string real =
      std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", folder), error).string();
  return error || std::find(std::begin(kFolders), std::end(kFolders), real) != std::end(kFolders);
}

// A folder of root's, or of the role's former user, on its way to the role's user.
class Gift final {
 public:
  Gift(int folder, const StateFolder& state, const User& user)
      : folder_(folder), state_(state), user_(user) {}

  absl::Status Give() {
    if (fstat(folder_, &info_) != 0) {
      return ErrnoStatus(errno, fmt::format("looking at folder {}", state_.path));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder_, state_.path));
    const bool is_shared = std::any_of(names.begin(), names.end(),
                                       [this](const std::string& name) { return !IsAgents(name); });
    for (const std::string& name : names) {
      if (is_shared && !MayBeBeside(name)) {
        return FailedPrecondition(
            "folder {} holds {}, which is not the agent's: name a folder of its own in the "
            "configuration, or give this one to user {}",
            state_.path, Quoted(name), user_.name);
      }
    }
    if (IsSystems(folder_)) {
      return FailedPrecondition(
          "folder {} is the system's: name one of its own in the "
          "configuration",
          state_.path);
    }
    for (const std::string& name : names) {
      RETURN_IF_ERROR(IsOurState(name) && !IsSharedAlready()
                          ? GiveFile(folder_, name, info_.st_uid, user_)
                          : absl::OkStatus());
    }
    return is_shared ? Share() : GiveWhole();
  }

 private:
  std::optional<struct stat> Look(const std::string& name) const {
    struct stat info {};
    return fstatat(folder_, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 ? std::optional(info)
                                                                           : std::nullopt;
  }

  // A server keeps its keys in a file of the same name.
  bool IsOurState(const std::string& name) const {
    return IsStateFile(name) && (state_.has_keys || !name.starts_with(kKeysFile));
  }

  // Then the role could have named so what was left in a folder of its own.
  bool IsSharedAlready() const {
    return info_.st_gid == user_.gid && (info_.st_mode & S_IWGRP) != 0;
  }

  // One of its state files, or of the operator's files that it reads.
  bool IsAgents(const std::string& name) const {
    const auto info = Look(name);
    return IsOurState(name) || !info.has_value() ||
           std::any_of(state_.beside.begin(), state_.beside.end(), [&](const std::string& path) {
             struct stat other {};
             return lstat(path.c_str(), &other) == 0 && other.st_dev == info->st_dev &&
                    other.st_ino == info->st_ino;
           });
  }

  // What the sticky bit protects: folders of root's. A file of root's could have companions that
  // its program looks for, and the role would make them.
  bool MayBeBeside(const std::string& name) const {
    const auto info = Look(name);
    return !info.has_value() || info->st_uid == user_.uid || IsAgents(name) ||
           (S_ISDIR(info->st_mode) && info->st_uid == 0);
  }

  absl::Status Share() {
    // A group that has it already would get to write in it.
    if (info_.st_uid != 0 || (info_.st_gid != 0 && info_.st_gid != user_.gid) ||
        (info_.st_mode & S_IWOTH) != 0) {
      return FailedPrecondition(
          "folder {} holds folders of others and is not root's alone: name a folder of its own in "
          "the configuration",
          state_.path);
    }
    const mode_t mode = (info_.st_mode & 0777) | S_ISVTX | S_IRWXG;
    // Sticky first: at no time may the group replace what is root's.
    if (fchmod(folder_, (info_.st_mode & 0777) | S_ISVTX) != 0 ||
        fchown(folder_, static_cast<uid_t>(-1), user_.gid) != 0 || fchmod(folder_, mode) != 0) {
      return ErrnoStatus(errno,
                         fmt::format("sharing folder {} with user {}", state_.path, user_.name));
    }
    return absl::OkStatus();
  }

  absl::Status GiveWhole() {
    return fchown(folder_, user_.uid, user_.gid) == 0
               ? absl::OkStatus()
               : ErrnoStatus(errno,
                             fmt::format("giving folder {} to user {}", state_.path, user_.name));
  }

  const int folder_;
  const StateFolder& state_;
  const User& user_;
  struct stat info_ {};
};

bool MayEnter(const struct stat& folder, const User& user) {
  if (folder.st_uid == user.uid) {
    return (folder.st_mode & S_IXUSR) != 0;
  }
  const bool in_group =
      folder.st_gid == user.gid ||
      std::find(user.groups.begin(), user.groups.end(), folder.st_gid) != user.groups.end();
  return (folder.st_mode & (in_group ? S_IXGRP : S_IXOTH)) != 0;
}

// While it lives this thread is in that group too, if it may: the owner of a file may give it to a
// group that he is in, without CAP_CHOWN, which the monitor does not keep.
class InGroup final {
 public:
  explicit InGroup(gid_t group) : before_(static_cast<gid_t>(setfsgid(group))) {}
  ~InGroup() { setfsgid(before_); }
  InGroup(const InGroup&) = delete;
  InGroup& operator=(const InGroup&) = delete;

 private:
  const gid_t before_;
};

bool IsTpm(const struct stat& info) { return S_ISCHR(info.st_mode) || S_ISSOCK(info.st_mode); }

// A file in a folder that nobody but root could lead elsewhere; else invalid.
UniqueFd OpenInGuarded(const std::string& path, const User& user, int flags) {
  const absl::StatusOr<TenantFolder> folder =
      OpenTenantFolder(FolderOf(path), Tenants(user), std::nullopt);
  struct stat info {};
  if (!folder.ok() || !folder->fd.valid() || fstat(folder->fd.get(), &info) != 0 ||
      info.st_uid != 0 || (info.st_gid == user.gid && (info.st_mode & S_IWGRP) != 0)) {
    return UniqueFd();
  }
  return UniqueFd(openat(folder->fd.get(), std::filesystem::path(path).filename().c_str(), flags));
}

}  // namespace

absl::Status GiveFolder(const StateFolder& state, const User& user) {
  const std::vector<uid_t> tenants = Tenants(user);
  RETURN_IF_ERROR(OpenTenantFolder(FolderOf(state.path), tenants, 0755).status());
  ASSIGN_OR_RETURN(const TenantFolder opened, OpenTenantFolder(state.path, tenants, 0700));
  if (!opened.fd.valid()) {
    return absl::OkStatus();  // The role makes what is below a folder of its own.
  }
  const UniqueFd folder(openat(opened.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!folder.valid() || fstat(folder.get(), &info) != 0) {
    return ErrnoStatus(errno, fmt::format("opening folder {}", state.path));
  }
  if (info.st_uid != user.uid) {
    RETURN_IF_ERROR(Gift(folder.get(), state, user).Give());
  }
  return CheckReachable(state.path, user);
}

absl::Status LetRead(const std::string& path, const User& user) {
  const UniqueFd file(
      OpenInGuarded(path, user, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_uid != 0 || info.st_nlink != 1 || (info.st_mode & S_IROTH) != 0 ||
      (info.st_gid != 0 && (info.st_mode & S_IRWXG) != 0)) {
    return absl::OkStatus();
  }
  const mode_t mode = (info.st_mode & 07707) | S_IRGRP;
  const InGroup group(user.gid);
  if (fchown(file.get(), static_cast<uid_t>(-1), user.gid) != 0 ||
      fchmod(file.get(), mode & 0777) != 0) {
    return ErrnoStatus(errno, fmt::format("letting user {} read {}", user.name, path));
  }
  return absl::OkStatus();
}

absl::Status LetUseTpm(const std::string& path, const User& user) {
  const UniqueFd file(OpenInGuarded(path, user, O_PATH | O_NOFOLLOW | O_CLOEXEC));
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
