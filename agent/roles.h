// SPDX-License-Identifier: GPL-3.0-or-later
// The one table of the agent's roles: as whom each runs, which privileges and descriptors it gets,
// whom it is linked to, and which messages it may send to whom. A message that the table does not
// list ends its sender.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assay {

namespace roles {
enum Role : int;
enum Endpoint : int;
}  // namespace roles

struct RoleSpec {
  roles::Role role;
  std::string_view name;  // As on the command line: "assay-agent role NAME".
  // As whom it runs when the agent was started by root: this user, and on a machine that has none
  // of the name, the user and group of this number, which must have no name there. Never root. A
  // plugin's has none: it is as who started the agent, or as the operator says.
  std::string_view user;
  uint32_t unnamed_id;
  // Whether it has the supplementary groups of that user, and of which group of the machine besides
  // (empty: of none).
  bool users_groups;
  std::string_view group;
  // Whether other processes of its user may look into its memory. Never where secrets are.
  bool dumpable;
  // Linux capabilities kept of those that the starter has.
  std::vector<int> capabilities;
  // Whether it has the environment that the agent was started with, or next to nothing of it.
  bool whole_environment;
  // The listening sockets it is given.
  std::vector<roles::Endpoint> endpoints;
};

// The three roles of which there is always one, in the order of their start. Besides there is one
// roles::PLUGIN for each external plugin.
std::span<const RoleSpec> Roles();
const RoleSpec& SpecOf(roles::Role role);
// NotFound for a name that is no role.
absl::StatusOr<roles::Role> ParseRole(std::string_view name);

// Two roles that have a channel to each other.
struct RoleLink {
  roles::Role first;
  roles::Role second;
};
std::span<const RoleLink> RoleLinks();

// For messages that are not a choice of several.
constexpr int kWholeMessage = 0;

// Whether the table lets from send to a message whose oneof "what" has this field number
// (kWholeMessage where the channel carries one kind alone). PermissionDenied names all three.
absl::Status CheckPermitted(roles::Role from, roles::Role to, int what);

}  // namespace assay
