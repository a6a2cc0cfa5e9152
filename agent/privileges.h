// SPDX-License-Identifier: GPL-3.0-or-later
// As whom a role's process runs, and with which capabilities (capabilities(7)). What a process
// needs to become that is computed before the fork; the child then makes system calls alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/roles.h"
#include "base/status.h"

namespace assay {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // The supplementary ones.
};

// As whom the role runs when root starts the agent: its user, where the machine has one, else its
// number. FailedPrecondition when that would be root, or when the number is somebody's already.
absl::StatusOr<User> FindRoleUser(const RoleSpec& spec);

// The user of this name with all of his groups. NotFound when the machine has none.
absl::StatusOr<User> FindNamedUser(const std::string& name);

// What a role's process becomes.
struct Privileges {
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  uint64_t capabilities = 0;  // A bit for each; of these, those that the starter has are kept.
};

// For a role to run as user; unset, or when the starter is not root: as the starter.
Privileges PrivilegesOf(const RoleSpec& spec, uid_t starter, const std::optional<User>& user);

// For a plugin's role. As the starter, and as root, it keeps every capability that the starter has.
Privileges PluginPrivileges(const RoleSpec& spec, uid_t starter, const std::optional<User>& user);

// Becomes that and can never gain more. Async-signal-safe; false with errno set on failure.
bool Assume(const Privileges& privileges);

// Takes from a process of root all capabilities but those that starting and ending the roles needs;
// what it only passes on to them is left permitted and not in effect.
absl::Status KeepOnlyMonitorCapabilities(uint64_t of_roles);

}  // namespace assay
