// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/roles.h"

#include <linux/capability.h>

#include <algorithm>
#include <array>

#include "assay/roles.pb.h"

namespace assay {
namespace {

using roles::IDENTITY;
using roles::MONITOR;
using roles::PLUGIN;
using roles::PROBE;
using roles::SERVE;

struct Permitted {
  roles::Role from;
  roles::Role to;
  std::vector<int> whats;
};

const std::array<RoleSpec, 4>& Specs() {
  static const std::array<RoleSpec, 4> kSpecs = {{
      // Its groups open the TPM device.
      {.role = IDENTITY,
       .name = "identity",
       .user = "assay",
       .unnamed_id = 60940,
       .users_groups = true,
       .group = "tss",
       .dumpable = false,
       .capabilities = {},
       .whole_environment = false,
       .endpoints = {roles::HEALTH, roles::METRICS}},
      {.role = SERVE,
       .name = "serve",
       .user = "assay-serve",
       .unnamed_id = 60941,
       .users_groups = false,
       .group = "",
       .dumpable = false,
       .capabilities = {},
       .whole_environment = false,
       .endpoints = {roles::WORKLOAD_API, roles::ADMIN}},
      // Reading /proc/PID/exe of another user's process takes the first, hashing a binary that
      // only its owner may read the second. Its groups open the container runtimes' sockets.
      {.role = PROBE,
       .name = "probe",
       .user = "assay-probe",
       .unnamed_id = 60942,
       .users_groups = true,
       .group = "",
       .dumpable = true,
       .capabilities = {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH},
       .whole_environment = false,
       .endpoints = {}},
      // What plugins do, as whom and with what of the environment, their authors decide: the
      // monitor gives it the rights of who started the agent, or of the plugin's own user.
      {.role = PLUGIN,
       .name = "plugin",
       .user = "",
       .unnamed_id = 0,
       .users_groups = true,
       .group = "",
       .dumpable = false,
       .capabilities = {},
       .whole_environment = true,
       .endpoints = {}},
  }};
  return kSpecs;
}

const std::vector<Permitted>& PermittedMessages() {
  using To = roles::MonitorToRole;
  using From = roles::RoleToMonitor;
  using Serve = roles::ServeRequest;
  static const std::vector<Permitted> kPermitted = {
      {MONITOR,
       IDENTITY,
       {To::kStart, To::kLink, To::kListen, To::kStop, To::kReload, To::kLogLevel}},
      {MONITOR,
       SERVE,
       {To::kStart, To::kLink, To::kListen, To::kStop, To::kReload, To::kLogLevel, To::kAudit}},
      {MONITOR, PROBE, {To::kStart, To::kLink, To::kStop, To::kReload, To::kLogLevel}},
      {IDENTITY, MONITOR, {From::kReady, From::kExit, From::kBroken}},
      {SERVE, MONITOR, {From::kReady, From::kBroken, From::kLogLevel, From::kHandedOut}},
      {PROBE, MONITOR, {From::kReady, From::kBroken}},
      {MONITOR, PLUGIN, {To::kStart, To::kLink, To::kStop, To::kReload, To::kLogLevel}},
      {PLUGIN, MONITOR, {From::kReady, From::kExit, From::kBroken}},
      {IDENTITY, SERVE, {kWholeMessage}},  // StateChange
      {SERVE,
       IDENTITY,
       {Serve::kWanted, Serve::kRefused, Serve::kUsed, Serve::kMintJwt, Serve::kUsedJwts,
        Serve::kForgetJwt, Serve::kReport}},
      {SERVE, PROBE, {kWholeMessage}},      // AttestRequest
      {PROBE, SERVE, {kWholeMessage}},      // AttestReply
      {IDENTITY, PLUGIN, {kWholeMessage}},  // PluginRequest
      {PLUGIN, IDENTITY, {kWholeMessage}},  // PluginReply
      {PROBE, PLUGIN, {kWholeMessage}},     // PluginRequest
      {PLUGIN, PROBE, {kWholeMessage}},     // PluginReply
  };
  return kPermitted;
}

std::string_view NameOf(roles::Role role) {
  return role == MONITOR ? "monitor" : SpecOf(role).name;
}

}  // namespace

std::span<const RoleSpec> Roles() { return std::span(Specs()).first<3>(); }

const RoleSpec& SpecOf(roles::Role role) {
  const auto found = std::find_if(Specs().begin(), Specs().end(),
                                  [role](const RoleSpec& spec) { return spec.role == role; });
  return found == Specs().end() ? Specs().back() : *found;
}

absl::StatusOr<roles::Role> ParseRole(std::string_view name) {
  for (const RoleSpec& spec : Specs()) {
    if (spec.name == name) {
      return spec.role;
    }
  }
  return NotFound("no role is called {}", Quoted(name));
}

std::span<const RoleLink> RoleLinks() {
  static constexpr std::array<RoleLink, 2> kLinks = {{{IDENTITY, SERVE}, {SERVE, PROBE}}};
  return kLinks;
}

absl::Status CheckPermitted(roles::Role from, roles::Role to, int what) {
  for (const Permitted& permitted : PermittedMessages()) {
    if (permitted.from == from && permitted.to == to &&
        std::find(permitted.whats.begin(), permitted.whats.end(), what) != permitted.whats.end()) {
      return absl::OkStatus();
    }
  }
  return PermissionDenied("the {} role may not send message {} to {}", NameOf(from), what,
                          NameOf(to));
}

}  // namespace assay
