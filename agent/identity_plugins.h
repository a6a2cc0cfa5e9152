// SPDX-License-Identifier: GPL-3.0-or-later
// The external plugins of the identity role: a node attestor, and stores of SVIDs. Owned by the
// identity thread.
#pragma once

#include <memory>
#include <optional>

#include "agent/config.h"
#include "agent/identity_svid_stores.h"
#include "agent/plugin_links.h"
#include "agent/role_context.h"
#include "agent/worker_threads.h"

namespace assay {

class IdentityPlugins final {
 public:
  // The context must outlive it. Of the configuration nothing is kept.
  IdentityPlugins(RoleContext& context, const AgentConfig& config);

  absl::Status OnLink(uint32_t number, UniqueFd channel) {
    return links_.OnLink(number, std::move(channel));
  }
  // Null when none is configured. Thread-safe itself.
  PluginConnection* node_attestor() { return node_attestor_; }
  // For IdentityCore::Surroundings.
  void OnState(const StateToServe& state);
  // Whether a call of a plugin is under way that nobody waits for.
  bool is_busy() const { return stores_.has_value() && stores_->is_busy(); }

 private:
  PluginLinks links_;
  PluginConnection* node_attestor_ = nullptr;
  std::optional<SvidStores> stores_;
  WorkerThreads store_threads_;  // Last: its jobs use the stores.
};

}  // namespace assay
