// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_plan.h"

#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "agent/role_files.h"
#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

bool ReadsExecutables(const MonitorOptions& options) {
  const auto& unix_attestor = options.unix_attestor;
  return unix_attestor.has_value() && unix_attestor->discover_workload_path &&
         unix_attestor->workload_size_limit >= 0;
}

absl::Status LetIdentityUse(const MonitorOptions& options, const User& user) {
  for (const std::string& file : options.identity_files) {
    RETURN_IF_ERROR(LetRead(file, user));
  }
  for (const std::string& device : options.identity_devices) {
    RETURN_IF_ERROR(LetUseTpm(device, user));
  }
  for (const StateFolder& folder : options.identity_folders) {
    RETURN_IF_ERROR(GiveFolder(folder, user));
  }
  for (const std::string& file : options.identity_files) {
    RETURN_IF_ERROR(CheckReachable(file, user));
  }
  return absl::OkStatus();
}

// The identity role's group may read what the operator gave that role.
absl::Status CheckGroups(const User& user) {
  ASSIGN_OR_RETURN(const User identity, FindRoleUser(SpecOf(roles::IDENTITY)));
  if (user.gid == identity.gid ||
      std::find(user.groups.begin(), user.groups.end(), identity.gid) != user.groups.end()) {
    return FailedPrecondition("{} is in the identity role's group", user.name);
  }
  return absl::OkStatus();
}

absl::StatusOr<User> FindPluginUser(const std::string& name, const std::set<uid_t>& of_roles) {
  ASSIGN_OR_RETURN(User user, FindNamedUser(name));
  const uid_t self = geteuid();
  if (self != 0 && user.uid != self) {
    return FailedPrecondition("only root can start it as another user");
  }
  if (of_roles.contains(user.uid)) {
    return FailedPrecondition("{} is a role's user, with all that it holds", name);
  }
  if (self == 0) {
    RETURN_IF_ERROR(CheckGroups(user));
  }
  return user;
}

absl::StatusOr<PlannedRole> PlanPlugin(uint32_t number, const MonitorPlugin& plugin,
                                       const std::set<uid_t>& of_roles) {
  const std::string name = plugin.plugin.ToString();
  std::optional<User> user;
  if (!plugin.user.empty()) {
    absl::StatusOr<User> found = FindPluginUser(plugin.user, of_roles);
    RETURN_IF_ERROR(WithContext(found.status(), fmt::format("plugin_user of {}", name)));
    user = *std::move(found);
  }
  const RoleSpec& spec = SpecOf(roles::PLUGIN);
  PlannedRole role{.key = {roles::PLUGIN, number},
                   .spec = &spec,
                   .name = "plugin " + name,
                   .privileges = PluginPrivileges(spec, geteuid(), user)};
  if (role.privileges.uid == 0) {
    log::Warn("Plugin runs as root; a plugin_user would give it less", {{"plugin", name}});
  }
  return role;
}

}  // namespace

absl::StatusOr<RolePlan> PlanRoles(const MonitorOptions& options) {
  const uid_t self = geteuid();
  RolePlan plan;
  std::set<uid_t> taken;
  for (const RoleSpec& spec : Roles()) {
    std::optional<User> user;
    if (self == 0) {
      ASSIGN_OR_RETURN(user, FindRoleUser(spec));
      if (!taken.insert(user->uid).second) {
        return FailedPrecondition("user {} is another role's too: each must have its own",
                                  user->name);
      }
      if (spec.role == roles::IDENTITY) {
        RETURN_IF_ERROR(LetIdentityUse(options, *user));
      }
    }
    PlannedRole& role = plan.roles.emplace_back(PlannedRole{
        .key = {spec.role, 0}, .spec = &spec, .name = std::string(spec.name), .privileges = {}});
    role.privileges = PrivilegesOf(spec, self, user);
    if (spec.role == roles::PROBE && !ReadsExecutables(options)) {
      role.privileges.capabilities &= ~(uint64_t{1} << CAP_DAC_READ_SEARCH);
    }
  }
  for (const RoleLink& link : RoleLinks()) {
    plan.links.push_back({{link.first, 0}, {link.second, 0}});
  }
  for (uint32_t number = 1; number <= options.plugins.size(); ++number) {
    const MonitorPlugin& plugin = options.plugins[number - 1];
    ASSIGN_OR_RETURN(PlannedRole role, PlanPlugin(number, plugin, taken));
    const bool for_probe = plugin.plugin.type == PluginType::kWorkloadAttestor;
    plan.links.push_back({{for_probe ? roles::PROBE : roles::IDENTITY, 0}, role.key});
    plan.roles.push_back(std::move(role));
  }
  return plan;
}

void LetIdentityReadAnew(const std::vector<std::string>& files) {
  if (geteuid() != 0) {
    return;
  }
  const absl::StatusOr<User> user = FindRoleUser(SpecOf(roles::IDENTITY));
  const auto let = [&user](const std::string& file) -> absl::Status {
    RETURN_IF_ERROR(user.status());
    RETURN_IF_ERROR(LetRead(file, *user));
    return CheckReachable(file, *user);
  };
  for (const std::string& file : files) {
    if (const absl::Status status = let(file); !status.ok()) {
      log::Warn("File cannot be made readable for the identity role",
                {{"error", status}, {"file", file}});
    }
  }
}

}  // namespace assay
