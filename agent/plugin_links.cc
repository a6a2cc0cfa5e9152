// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/plugin_links.h"

#include <sys/socket.h>

#include <utility>

#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

// gRPC ends the process over a descriptor of another kind.
bool IsConnection(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

}  // namespace

PluginLinks::~PluginLinks() {
  for (auto& [number, link] : links_) {
    context_.loop().Cancel(link.timer);
  }
}

PluginConnection& PluginLinks::Add(uint32_t number, PluginName plugin,
                                   std::function<void()> on_restart) {
  Link& link = links_[number];
  link.connection = std::make_unique<PluginConnection>(
      std::move(plugin), [this, number] { context_.loop().Post([this, number] { Ask(number); }); });
  link.on_restart = std::move(on_restart);
  return *link.connection;
}

absl::Status PluginLinks::OnLink(uint32_t number, UniqueFd channel) {
  const auto at = links_.find(number);
  if (at == links_.end()) {
    return PermissionDenied("this role does not use plugin {}", number);
  }
  Link& link = at->second;
  link.connection->Drop();
  context_.loop().Cancel(std::exchange(link.timer, 0));
  link.asked = link.ask_again = false;
  ASSIGN_OR_RETURN(link.channel,
                   Channel::Create(
                       context_.loop(), std::move(channel),
                       [this, number](std::string_view bytes, UniqueFd fd) {
                         OnReply(number, bytes, std::move(fd));
                       },
                       [this, number](const absl::Status& why) { OnClosed(number, why); }));
  Ask(number);
  if (link.on_restart) {
    link.on_restart();
  }
  return absl::OkStatus();
}

void PluginLinks::Ask(uint32_t number) {
  Link& link = links_[number];
  if (link.channel == nullptr || link.asked) {
    return;
  }
  if (link.timer != 0) {
    link.ask_again = true;
    return;
  }
  roles::PluginRequest request;
  request.set_connect(true);
  if (absl::Status sent = link.channel->Send(request); !sent.ok()) {
    log::Error("Asking for a plugin failed", {{"error", sent}});
  }
  link.asked = true;
  link.timer = context_.loop().After(kLeastInterval, [this, number] {
    Link& late = links_[number];
    late.timer = 0;
    if (std::exchange(late.ask_again, false)) {
      Ask(number);
    }
  });
}

void PluginLinks::OnReply(uint32_t number, std::string_view bytes, UniqueFd fd) {
  Link& link = links_[number];
  roles::PluginReply reply;
  absl::Status permitted = CheckPermitted(roles::PLUGIN, self_, kWholeMessage);
  if (permitted.ok() &&
      (!reply.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !reply.connected() ||
       !link.asked || (fd.valid() && !IsConnection(fd.get())))) {
    permitted =
        InvalidArgument("a reply that does not parse, is no connection, or that nobody asked for");
  }
  if (!permitted.ok()) {
    context_.PeerBrokeRules(roles::PLUGIN, permitted, number);
    context_.loop().Post([this, number, dropped = link.channel.get()] {
      if (links_[number].channel.get() == dropped) {
        links_[number].channel.reset();
      }
    });
    return;
  }
  link.asked = false;
  if (!fd.valid()) {
    log::Error("Out of descriptors: a connection to a plugin did not come");
    Ask(number);
    return;
  }
  link.connection->Connect(std::move(fd));
}

void PluginLinks::OnClosed(uint32_t number, const absl::Status& why) {
  links_[number].connection->Drop();
  context_.LinkEnded(roles::PLUGIN, why, number);
}

}  // namespace assay
