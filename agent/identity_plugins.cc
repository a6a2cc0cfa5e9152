// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_plugins.h"

#include <utility>

#include "assay/roles.pb.h"

namespace assay {

IdentityPlugins::IdentityPlugins(RoleContext& context, const AgentConfig& config)
    : links_(context, roles::IDENTITY),
      store_threads_(config.external_plugins.size(), config.external_plugins.size()) {
  SvidStores::Options options{.trust_domain = config.trust_domain,
                              .stores = {},
                              .run = [this](auto job) { store_threads_.Run(0, std::move(job)); },
                              .random = SystemRandom()};
  for (uint32_t number = 1; number <= config.external_plugins.size(); ++number) {
    const PluginName& plugin = config.external_plugins[number - 1].plugin;
    if (plugin.type == PluginType::kNodeAttestor) {
      node_attestor_ = &links_.Add(number, plugin);
    } else if (plugin.type == PluginType::kSvidStore) {
      PluginConnection& connection =
          links_.Add(number, plugin, [this, name = plugin.name] { stores_->OnRestart(name); });
      options.stores.emplace(plugin.name, std::make_unique<SvidStorePlugin>(connection));
    }
  }
  if (!options.stores.empty()) {
    stores_.emplace(std::move(options), context.loop(), context.clock());
  }
}

void IdentityPlugins::OnState(const StateToServe& state) {
  if (stores_.has_value()) {
    stores_->Update(state);
  }
}

}  // namespace assay
