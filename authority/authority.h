// SPDX-License-Identifier: GPL-3.0-or-later
// assay-authority: an upstream for one machine, for tests and for first steps. It speaks SPIRE
// Server's API to agents over TLS 1.3, and to operators on a Unix socket; its state is an SQLite
// file and a folder of keys.
#pragma once

#include <memory>

#include "authority/authorization.h"
#include "authority/ca_rotation.h"
#include "authority/node_verifiers.h"
#include "authority/options.h"
#include "authority/server_identity.h"
#include "authority/state.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "rpc/server.h"
#include "workload-api/health_service.h"

namespace assay {

// A running authority. Owned by the loop's thread.
class Authority final {
 public:
  // Opens the state, makes what is missing of it, and listens. The clock and the loop must outlive
  // it.
  static absl::StatusOr<std::unique_ptr<Authority>> Create(const AuthorityOptions& options,
                                                           const Clock& clock, EventLoop& loop);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // Where agents connect: the bound port, when the options leave the choice to the kernel.
  uint16_t port() const { return port_; }

 private:
  Authority(std::unique_ptr<State> state, NodeVerifiers verifiers);
  absl::Status ListenForAgents();
  absl::Status ListenForOperators();
  absl::StatusOr<crypto::TlsConnection::ServerOptions> TlsOptions();
  void AddMethods(Gate& gate, rpc::Registry& registry);
  void Prune();

  const std::unique_ptr<State> state_;
  const NodeVerifiers verifiers_;
  CaRotation rotation_;
  ServerIdentity identity_;
  Gate tcp_gate_, local_gate_;
  // There is something to sign with before anybody can ask.
  HealthService health_{/*serving=*/true};
  rpc::Registry tcp_methods_, local_methods_;
  std::unique_ptr<rpc::Server> tcp_server_, local_server_;
  uint16_t port_ = 0;
  EventLoop::TimerId prune_timer_ = 0;
};

// Runs an authority until SIGTERM or SIGINT, which end it in order. The log is the caller's to
// open.
absl::Status RunAuthority(const AuthorityOptions& options);

}  // namespace assay
