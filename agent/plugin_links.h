// SPDX-License-Identifier: GPL-3.0-or-later
// The channels of a role to the roles of the external plugins that it uses: by them it gets its
// connections to the plugins. Owned by the role's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "agent/role_context.h"
#include "base/event_loop.h"
#include "base/sandbox/channel.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "plugins/connection.h"

namespace assay {

class PluginLinks final {
 public:
  // At least so long between two connections to a plugin that breaks them.
  static constexpr absl::Duration kLeastInterval = absl::Milliseconds(200);

  // For this role. The context must outlive it.
  PluginLinks(RoleContext& context, roles::Role self) : context_(context), self_(self) {}
  ~PluginLinks();
  PluginLinks(const PluginLinks&) = delete;
  PluginLinks& operator=(const PluginLinks&) = delete;

  // A plugin that this role uses, by its number, and what to do when its process is another one,
  // which knows nothing. The connection lives as long as this.
  PluginConnection& Add(uint32_t number, PluginName plugin,
                        std::function<void()> on_restart = nullptr);
  // For RoleBody::OnPluginLink.
  absl::Status OnLink(uint32_t number, UniqueFd channel);

 private:
  struct Link {
    std::unique_ptr<PluginConnection> connection;
    std::function<void()> on_restart;
    std::unique_ptr<Channel> channel;
    bool asked = false;            // The answer has not come.
    EventLoop::TimerId timer = 0;  // Until it may be asked again.
    bool ask_again = false;        // Then.
  };

  void Ask(uint32_t number);
  void OnReply(uint32_t number, std::string_view bytes, UniqueFd fd);
  void OnClosed(uint32_t number, const absl::Status& why);

  RoleContext& context_;
  const roles::Role self_;
  std::map<uint32_t, Link> links_;
};

}  // namespace assay
