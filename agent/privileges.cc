// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/privileges.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/files.h"
#include "base/unique_fd.h"

namespace assay {
namespace {

constexpr int kHighestCapability = 63;

uint64_t MaskOf(const std::vector<int>& capabilities) {
  uint64_t mask = 0;
  for (int capability : capabilities) {
    mask |= uint64_t{1} << capability;
  }
  return mask;
}

uint64_t PermittedCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) {
    return 0;
  }
  return data[0].permitted | uint64_t{data[1].permitted} << 32;
}

bool SetCapabilities(uint64_t mask, uint64_t inheritable) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    data[i].effective = data[i].permitted = static_cast<uint32_t>(mask >> (32 * i));
    data[i].inheritable = static_cast<uint32_t>(inheritable >> (32 * i));
  }
  return syscall(SYS_capset, &header, data) == 0;
}

// Without CAP_SETPCAP the bounding set stays; then no capability is gained by exec either, as only
// root has them back.
void LimitBoundingSet(uint64_t mask) {
  for (int capability = 0; capability <= kHighestCapability; ++capability) {
    if ((mask >> capability & 1) == 0) {
      prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
  }
}

// So that the capabilities outlive the exec of a file that has none.
bool RaiseAmbient(uint64_t mask) {
  for (int capability = 0; capability <= kHighestCapability; ++capability) {
    if ((mask >> capability & 1) != 0 &&
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      return false;
    }
  }
  return true;
}

bool IsWorkingOrRootFolder(const struct stat& folder) {
  for (const char* path : {".", "/"}) {
    struct stat other {};
    if (stat(path, &other) == 0 && other.st_dev == folder.st_dev && other.st_ino == folder.st_ino) {
      return true;
    }
  }
  return false;
}

// The regular files of root directly inside; a hard link to a file elsewhere is not given away.
absl::Status GiveFiles(int folder, const User& user) {
  UniqueFd again(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(again.get()), closedir);
  if (entries == nullptr) {
    return ErrnoStatus(errno, "listing a folder of the identity role");
  }
  again.Release();
  while (const dirent* entry = readdir(entries.get())) {
    UniqueFd file(openat(folder, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info {};
    if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
        info.st_uid != 0 || info.st_nlink != 1) {
      continue;
    }
    if (fchown(file.get(), user.uid, user.gid) != 0) {
      return ErrnoStatus(errno, fmt::format("giving {} to {}", entry->d_name, user.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<User>> FindUser(const std::string& name) {
  std::vector<char> buffer(16 << 10);
  passwd record{};
  passwd* found = nullptr;
  const int error = getpwnam_r(name.c_str(), &record, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    // Without a user database there are no users, which libc reports in several ways.
    if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM) {
      return std::nullopt;
    }
    return ErrnoStatus(error, fmt::format("looking up user {}", Quoted(name)));
  }
  User user{.name = name, .uid = record.pw_uid, .gid = record.pw_gid, .groups = {}};
  int count = 64;
  user.groups.resize(static_cast<size_t>(count));
  while (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<size_t>(count));
  }
  user.groups.resize(static_cast<size_t>(count));
  return user;
}

Privileges PrivilegesOf(const RoleSpec& spec, uid_t starter, const std::optional<User>& user) {
  Privileges privileges;
  if (starter == 0 && user.has_value() && user->uid != 0) {
    privileges.change_user = true;
    privileges.uid = user->uid;
    privileges.gid = user->gid;
    if (spec.users_groups) {
      privileges.groups = user->groups;
    }
  } else {
    privileges.uid = starter;
  }
  privileges.capabilities =
      MaskOf(privileges.uid == 0 ? spec.capabilities_as_root : spec.capabilities);
  return privileges;
}

bool Assume(const Privileges& privileges) {
  const uint64_t keep = privileges.capabilities & PermittedCapabilities();
  LimitBoundingSet(keep);
  if (privileges.change_user) {
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
        setgroups(privileges.groups.size(), privileges.groups.data()) != 0 ||
        setresgid(privileges.gid, privileges.gid, privileges.gid) != 0 ||
        setresuid(privileges.uid, privileges.uid, privileges.uid) != 0) {
      return false;
    }
  }
  const bool ambient = privileges.uid != 0;
  return SetCapabilities(keep, ambient ? keep : 0) && (!ambient || RaiseAmbient(keep)) &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

absl::Status KeepOnlyMonitorCapabilities() {
  uint64_t keep = MaskOf({CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL});
  for (const RoleSpec& spec : Roles()) {
    keep |= MaskOf(spec.capabilities) | MaskOf(spec.capabilities_as_root);
  }
  if (!SetCapabilities(keep & PermittedCapabilities(), 0)) {
    return ErrnoStatus(errno, "dropping the monitor's capabilities");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> GiveFolder(const std::string& path, const User& user) {
  struct stat before {};
  const bool made = stat(path.c_str(), &before) != 0 && errno == ENOENT;
  if (made) {
    RETURN_IF_ERROR(MakeFolders(FolderOf(path), 0755));
    RETURN_IF_ERROR(MakeFolders(path, 0700));
  }
  UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!folder.valid() || fstat(folder.get(), &info) != 0) {
    return ErrnoStatus(errno, fmt::format("opening folder {}", path));
  }
  if (info.st_uid == user.uid) {
    return true;
  }
  if (info.st_uid != 0 || IsWorkingOrRootFolder(info)) {
    return false;
  }
  RETURN_IF_ERROR(GiveFiles(folder.get(), user));
  if (fchown(folder.get(), user.uid, user.gid) != 0) {
    return ErrnoStatus(errno, fmt::format("giving folder {} to {}", path, user.name));
  }
  return true;
}

}  // namespace assay
