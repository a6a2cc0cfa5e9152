// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_starts.h"

#include <utility>

namespace assay {

RoleStarts::RoleStarts(const MonitorOptions& options)
    : options_(options), log_(options.log), serve_(options.serve) {}

RoleStarts::Message RoleStarts::Start(const RoleKey& role, const Progress& progress) const {
  // The configuration is in a file of its own: it may be long, and hold secrets.
  Message start{.message = {}, .file = SealedFile(role)};
  *start.message.mutable_start() = StartOf(role, progress);
  return start;
}

std::optional<RoleStarts::Message> RoleStarts::Reloaded(const RoleKey& role,
                                                        const Progress& progress) const {
  if (ReloadedFile(role) < 0) {
    return std::nullopt;
  }
  return Reload(role, progress);
}

RoleStarts::Message RoleStarts::Reload(const RoleKey& role, const Progress& progress) const {
  Message reload{.message = {}, .file = ReloadedFile(role)};
  *reload.message.mutable_reload() = StartOf(role, progress);
  if (SealedFile(role) >= 0 && reload.file < 0) {
    reload.message.mutable_reload()->clear_role();
  }
  return reload;
}

void RoleStarts::TakeUp(MonitorReload reload) {
  identity_start_ = std::move(reload.identity_start);
  plugins_ = std::move(reload.plugins);
  serve_ = std::move(reload.serve);
  log_.level = reload.log.level;
  log_.format = reload.log.format;
  log_.source_location = reload.log.source_location;
}

int RoleStarts::identity_start() const {
  return identity_start_.valid() ? identity_start_.get() : options_.identity_start.get();
}

roles::Start RoleStarts::StartOf(const RoleKey& role, const Progress& progress) const {
  roles::Start start;
  start.mutable_log()->set_level(static_cast<int>(log_.level));
  start.mutable_log()->set_format(static_cast<int>(log_.format));
  start.mutable_log()->set_source_location(log_.source_location);
  if (role.first == roles::IDENTITY) {
    start.mutable_identity()->set_has_served(progress.agent_has_served);
  } else if (role.first == roles::SERVE) {
    *start.mutable_serve() = ServeStart(progress);
  } else if (role.first == roles::PLUGIN) {
    start.mutable_plugin()->set_has_served(progress.role_was_ready);
  } else {
    *start.mutable_probe() = ProbeStart();
  }
  return start;
}

roles::ServeStart RoleStarts::ServeStart(const Progress& progress) const {
  roles::ServeStart start;
  start.set_trust_domain(options_.trust_domain);
  start.set_disable_workload_api(options_.disable_workload_api);
  if (options_.sds.has_value()) {
    roles::SdsStart& sds = *start.mutable_sds();
    sds.set_default_svid_name(options_.sds->default_svid_name);
    sds.set_default_bundle_name(options_.sds->default_bundle_name);
    sds.set_default_all_bundles_name(options_.sds->default_all_bundles_name);
    sds.set_disable_spiffe_cert_validation(options_.sds->disable_spiffe_cert_validation);
  }
  if (options_.audit.has_value()) {
    start.mutable_audit()->set_refuse(options_.audit->refuse);
  }
  start.set_started_at(absl::ToUnixSeconds(progress.agent_started));
  start.set_launch_log_level(static_cast<int32_t>(options_.log.level));
  start.set_allow_unauthenticated_verifiers(serve_.allow_unauthenticated_verifiers);
  start.mutable_log_selectors()->Add(serve_.log_selectors.begin(), serve_.log_selectors.end());
  start.mutable_allowed_foreign_jwt_claims()->Add(serve_.allowed_foreign_jwt_claims.begin(),
                                                  serve_.allowed_foreign_jwt_claims.end());
  start.mutable_authorized_delegates()->Add(serve_.authorized_delegates.begin(),
                                            serve_.authorized_delegates.end());
  if (serve_.jwt_renewal_wait.has_value()) {
    start.set_jwt_renewal_wait_ms(absl::ToInt64Milliseconds(*serve_.jwt_renewal_wait));
  }
  return start;
}

roles::ProbeStart RoleStarts::ProbeStart() const {
  roles::ProbeStart start;
  start.set_tells_origin(options_.audit.has_value());
  for (uint32_t number = 1; number <= options_.plugins.size(); ++number) {
    const PluginName& plugin = options_.plugins[number - 1].plugin;
    if (plugin.type == PluginType::kWorkloadAttestor) {
      roles::ProbeStart::Plugin& added = *start.add_plugins();
      added.set_number(number);
      added.set_name(plugin.name);
    }
  }
  if (const auto& unix_attestor = options_.unix_attestor; unix_attestor.has_value()) {
    start.mutable_unix()->set_discover_workload_path(unix_attestor->discover_workload_path);
    start.mutable_unix()->set_workload_size_limit(unix_attestor->workload_size_limit);
  }
  return start;
}

// The role's own file at its start; -1: it has none.
int RoleStarts::SealedFile(const RoleKey& role) const {
  if (role.first == roles::PLUGIN) {
    return options_.plugins[role.second - 1].start.get();
  }
  return role.first == roles::IDENTITY ? options_.identity_start.get() : -1;
}

int RoleStarts::ReloadedFile(const RoleKey& role) const {
  if (role.first != roles::PLUGIN) {
    return role.first == roles::IDENTITY ? identity_start_.get() : -1;
  }
  // One that is not configured any more goes on as it is.
  const PluginName& name = options_.plugins[role.second - 1].plugin;
  for (const MonitorPlugin& reloaded : plugins_) {
    if (reloaded.plugin == name) {
      return reloaded.start.get();
    }
  }
  return -1;
}

}  // namespace assay
