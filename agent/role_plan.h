// SPDX-License-Identifier: GPL-3.0-or-later
// Which roles an agent has, those of agent/roles.cc and one for each external plugin; as whom each
// runs, and which are linked.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/monitor.h"
#include "agent/privileges.h"
#include "agent/roles.h"
#include "base/status.h"

namespace assay {

// A role, and of the roles of plugins which (as in MonitorOptions); else 0.
using RoleKey = std::pair<roles::Role, uint32_t>;

struct PlannedRole {
  RoleKey key;
  const RoleSpec* spec = nullptr;
  std::string name;  // For the log.
  Privileges privileges;
};

struct RolePlan {
  std::vector<PlannedRole> roles;
  std::vector<std::pair<RoleKey, RoleKey>> links;
};

// As root, finds the roles' users and lets the identity role's use what MonitorOptions names for
// it; else all run as this process. FailedPrecondition where a user will not do.
absl::StatusOr<RolePlan> PlanRoles(const MonitorOptions& options);

// As root, lets the identity role read files that may have been renewed, and are root's alone
// again. What that fails for is logged: the agent runs on without it.
void LetIdentityReadAnew(const std::vector<std::string>& files);

}  // namespace assay
