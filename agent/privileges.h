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
  std::vector<gid_t> groups;  // All of them, gid included.
};

// Nothing when the machine has no such user.
absl::StatusOr<std::optional<User>> FindUser(const std::string& name);

// What a role's process becomes.
struct Privileges {
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  uint64_t capabilities = 0;  // A bit for each; of these, those that the starter has are kept.
};

// For a role started by a process of effective user starter, to run as user (unset: as starter).
Privileges PrivilegesOf(const RoleSpec& spec, uid_t starter, const std::optional<User>& user);

// Becomes that and can never gain more. Async-signal-safe; false with errno set on failure.
bool Assume(const Privileges& privileges);

// Takes from a process of root all capabilities but those that starting, ending and giving
// capabilities to the roles needs.
absl::Status KeepOnlyMonitorCapabilities();

// Makes a folder that the user's role keeps state in: absent, it is made (mode 0700); owned by
// root, it is given to the user with root's files directly inside. False when it is not the user's
// then: the working folder, "/" and the folders of other users are left as they are.
absl::StatusOr<bool> GiveFolder(const std::string& path, const User& user);

}  // namespace assay
