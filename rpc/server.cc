// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/server.h"

#include <vector>

#include "base/log.h"
#include "rpc/acceptor.h"
#include "rpc/connection_set.h"
#include "rpc/descriptor_limit.h"

namespace assay::rpc {
struct Server::Impl {
  Impl(EventLoop& event_loop, const Registry& registry, Options server_options)
      : loop(event_loop),
        options(std::move(server_options)),
        connections(event_loop, registry, options) {}

  EventLoop& loop;
  const Options options;
  ConnectionSet connections;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  bool draining = false;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Create(EventLoop& loop, const Registry& registry,
                                                       Options options) {
  const Limits& limits = options.limits;
  if (limits.max_connections == 0 || limits.max_streams_per_connection == 0 ||
      limits.max_message_bytes > UINT32_MAX || limits.max_header_bytes > UINT32_MAX) {
    return InvalidArgument("a server's limits leave no room for a call, or more than its framing");
  }
  options.limits.max_connections = AffordableConnections(limits.max_connections);
  return std::unique_ptr<Server>(
      new Server(std::make_unique<Impl>(loop, registry, std::move(options))));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() = default;

absl::Status Server::Listen(UniqueFd listener) {
  if (impl_->draining) {
    return FailedPrecondition("the server is ending");
  }
  ASSIGN_OR_RETURN(
      auto acceptor,
      Acceptor::Create(impl_->loop, std::move(listener), [this](UniqueFd socket, bool is_unix) {
        const absl::Status added = impl_->connections.Add(std::move(socket), is_unix);
        if (!added.ok()) {
          log::Debug("connection not taken", {{"error", added}});
        }
      }));
  impl_->acceptors.push_back(std::move(acceptor));
  return absl::OkStatus();
}

size_t Server::connections() const { return impl_->connections.size(); }

void Server::Drain() {
  impl_->draining = true;
  impl_->acceptors.clear();
  impl_->connections.Drain();
}

}  // namespace assay::rpc
