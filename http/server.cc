// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/server.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "http/connection.h"
#include "rpc/peer.h"

namespace assay::http {
namespace {

// Of this machine everybody has as many addresses as he likes.
std::string AddressOf(int socket) {
  const std::string network = rpc::NetworkOf(socket);
  return "address " + (network.starts_with("127.") ? "127.0.0.0/8" : network);
}

}  // namespace

Server::Server(EventLoop& loop, const Clock& clock, Options options)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      shares_({.connections = options_.limits.max_connections}) {}

Server::~Server() = default;

absl::Status Server::Listen(UniqueFd listener) {
  ASSIGN_OR_RETURN(acceptor_, rpc::Acceptor::Create(loop_, std::move(listener),
                                                    [this](UniqueFd socket, bool /*is_unix*/) {
                                                      Accept(std::move(socket));
                                                    }));
  return absl::OkStatus();
}

Connection* Server::LongestWaiting(const std::string& name) const {
  Connection* longest = nullptr;
  for (const auto& connection : connections_) {
    if (connection->share().owner.name == name && connection->waits_since().has_value() &&
        (longest == nullptr || connection->waits_since() < longest->waits_since())) {
      longest = connection.get();
    }
  }
  return longest;
}

std::string Server::Greediest() const {
  const auto at = std::max_element(
      connections_.begin(), connections_.end(),
      [](const auto& a, const auto& b) { return a->share().connections < b->share().connections; });
  return at == connections_.end() ? "" : (*at)->share().owner.name;
}

absl::StatusOr<rpc::Shares::Share*> Server::Join(const std::string& name) {
  const rpc::Shares::Owner owner = {.name = name,
                                    .max_connections = options_.limits.max_connections_per_address};
  absl::StatusOr<rpc::Shares::Share*> share = shares_.Join(owner);
  const auto has = static_cast<size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [&name](const auto& other) { return other->share().owner.name == name; }));
  // Who has too many takes no place of others'.
  for (const std::string& from : {has < owner.max_connections ? Greediest() : name, name}) {
    if (share.ok()) {
      break;
    }
    if (Connection* const longest = LongestWaiting(from); longest != nullptr) {
      Drop(*longest);
      share = shares_.Join(owner);
    }
  }
  return share;
}

void Server::Accept(UniqueFd socket) {
  const absl::StatusOr<rpc::Shares::Share*> share = Join(AddressOf(socket.get()));
  if (!share.ok()) {
    log::Debug("HTTP connection was refused", {{"error", share.status()}});
    return;
  }
  auto tls = MakeTls();
  if (!tls.ok()) {
    log::Debug("HTTP connection was refused", {{"error", tls.status()}});
    shares_.Leave(**share);
    return;
  }
  connections_.push_back(
      std::make_unique<Connection>(*this, **share, std::move(socket), *std::move(tls)));
  Connection& connection = *connections_.back();
  connection.place = std::prev(connections_.end());
  if (const absl::Status started = connection.Start(); !started.ok()) {
    log::Warn("HTTP connection cannot be served", {{"error", started}});
    Drop(connection);
  }
}

absl::StatusOr<std::unique_ptr<crypto::TlsConnection>> Server::MakeTls() const {
  if (!options_.tls) {
    return nullptr;
  }
  ASSIGN_OR_RETURN(const crypto::TlsConnection::ServerOptions options, options_.tls());
  return crypto::TlsConnection::CreateServer(options);
}

void Server::Drop(Connection& connection) { connections_.erase(connection.place); }

}  // namespace assay::http
