// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

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

bool SetCapabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(effective >> (32 * i));
    data[i].permitted = static_cast<uint32_t>(permitted >> (32 * i));
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

// Without a user database there are no users, which libc reports in several ways.
bool IsAbsent(int error) {
  return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

// Nothing when the machine has no such user.
absl::StatusOr<std::optional<User>> FindUser(const std::string& name) {
  std::vector<char> buffer(16 << 10);
  passwd record{};
  passwd* found = nullptr;
  const int error = getpwnam_r(name.c_str(), &record, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    if (IsAbsent(error)) {
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

// A user of the number, when nobody else is called so.
absl::StatusOr<User> UnnamedUser(const RoleSpec& spec) {
  std::vector<char> buffer(16 << 10);
  passwd user_record{};
  passwd* user = nullptr;
  group group_record{};
  group* found_group = nullptr;
  const int user_error =
      getpwuid_r(spec.unnamed_id, &user_record, buffer.data(), buffer.size(), &user);
  const bool is_user = user != nullptr || !IsAbsent(user_error);
  const int group_error =
      getgrgid_r(spec.unnamed_id, &group_record, buffer.data(), buffer.size(), &found_group);
  if (is_user || found_group != nullptr || !IsAbsent(group_error)) {
    return FailedPrecondition(
        "the {} role would run as user and group {}, which have a name here already: make a user "
        "{} for it",
        spec.name, spec.unnamed_id, spec.user);
  }
  return User{.name = std::to_string(spec.unnamed_id),
              .uid = spec.unnamed_id,
              .gid = spec.unnamed_id,
              .groups = {spec.unnamed_id}};
}

std::optional<gid_t> FindGroup(const std::string& name) {
  std::vector<char> buffer(64 << 10);
  group record{};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &record, buffer.data(), buffer.size(), &found);
  return found == nullptr ? std::nullopt : std::make_optional(record.gr_gid);
}

}  // namespace

absl::StatusOr<User> FindRoleUser(const RoleSpec& spec) {
  ASSIGN_OR_RETURN(std::optional<User> user, FindUser(std::string(spec.user)));
  if (!user.has_value()) {
    ASSIGN_OR_RETURN(user, UnnamedUser(spec));
  }
  if (user->uid == 0) {
    return FailedPrecondition("user {} is root, and the {} role never runs as root", spec.user,
                              spec.name);
  }
  if (!spec.users_groups) {
    user->groups.clear();
  }
  if (const auto gid = spec.group.empty() ? std::nullopt : FindGroup(std::string(spec.group))) {
    user->groups.push_back(*gid);
  }
  return *std::move(user);
}

Privileges PrivilegesOf(const RoleSpec& spec, uid_t starter, const std::optional<User>& user) {
  Privileges privileges;
  privileges.uid = starter;
  if (starter == 0 && user.has_value()) {
    privileges.change_user = true;
    privileges.uid = user->uid;
    privileges.gid = user->gid;
    privileges.groups = user->groups;
  }
  privileges.capabilities = MaskOf(spec.capabilities);
  return privileges;
}

absl::StatusOr<User> FindNamedUser(const std::string& name) {
  ASSIGN_OR_RETURN(std::optional<User> user, FindUser(name));
  if (!user.has_value()) {
    return NotFound("there is no user {}", Quoted(name));
  }
  return *std::move(user);
}

Privileges PluginPrivileges(const RoleSpec& spec, uid_t starter, const std::optional<User>& user) {
  Privileges privileges = PrivilegesOf(spec, starter, user);
  if (privileges.uid == starter) {
    privileges.capabilities = ~uint64_t{0};
  }
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
  return SetCapabilities(keep, keep, keep) && RaiseAmbient(keep) &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

absl::Status KeepOnlyMonitorCapabilities(uint64_t of_roles) {
  const uint64_t own = MaskOf({CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL});
  const uint64_t permitted = PermittedCapabilities();
  const uint64_t becoming = MaskOf({CAP_SETUID, CAP_SETGID});
  if ((permitted & becoming) != becoming) {
    return FailedPrecondition(
        "root without CAP_SETUID and CAP_SETGID cannot give the roles users of their own: start "
        "the agent with them, or as another user than root");
  }
  if (!SetCapabilities(own & permitted, (own | of_roles) & permitted, 0)) {
    return ErrnoStatus(errno, "dropping the monitor's capabilities");
  }
  return absl::OkStatus();
}

}  // namespace assay
