// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/authority.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>

#include "authority/agent_service.h"
#include "authority/bundle_service.h"
#include "authority/entry_service.h"
#include "authority/hardening.h"
#include "authority/join_token_service.h"
#include "authority/svid_service.h"
#include "base/log.h"
#include "rpc/listen_socket.h"
#include "spiffe/x509_svid.h"
#include "workload-api/reflection_service.h"

namespace assay {
namespace {

constexpr mode_t kSocketMode = 0770;
// As the reference does, so that agents meet new certificates and lost ones are noticed.
constexpr absl::Duration kConnectionAge = absl::Minutes(3);
// A whole book of 100,000 entries may be on its way to an operator or an agent.
constexpr size_t kMostPendingBytes = 64 << 20;
constexpr absl::Duration kPruneEvery = absl::Minutes(1);

absl::StatusOr<uint16_t> PortOf(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return ErrnoStatus(errno, "getsockname");
  }
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// The signals that end the authority, as a descriptor; blocked for all threads made from here on.
absl::StatusOr<UniqueFd> BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (const int error = pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
    return ErrnoStatus(error, "block signals");
  }
  UniqueFd descriptor(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor.valid()) {
    return ErrnoStatus(errno, "signalfd");
  }
  return descriptor;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authority>> Authority::Create(const AuthorityOptions& options,
                                                             const Clock& clock, EventLoop& loop) {
  ASSIGN_OR_RETURN(NodeVerifiers verifiers, MakeNodeVerifiers(options));
  ASSIGN_OR_RETURN(std::unique_ptr<State> state, State::Open(options, clock, loop));
  std::unique_ptr<Authority> authority(new Authority(std::move(state), std::move(verifiers)));
  RETURN_IF_ERROR(authority->rotation_.Settle());
  RETURN_IF_ERROR(authority->identity_.Start());
  RETURN_IF_ERROR(authority->ListenForAgents());
  RETURN_IF_ERROR(authority->ListenForOperators());
  authority->rotation_.Start();
  authority->Prune();
  return authority;
}

Authority::Authority(std::unique_ptr<State> state, NodeVerifiers verifiers)
    : state_(std::move(state)),
      verifiers_(std::move(verifiers)),
      rotation_(*state_),
      identity_(*state_),
      tcp_gate_(*state_, Gate::Transport::kTcp),
      local_gate_(*state_, Gate::Transport::kLocal) {}

Authority::~Authority() { state_->loop.Cancel(prune_timer_); }

void Authority::AddMethods(Gate& gate, rpc::Registry& registry) {
  AddAgentMethods(*state_, verifiers_, gate, registry);
  AddBundleMethods(*state_, gate, registry);
  AddEntryMethods(*state_, gate, registry);
  AddSvidMethods(*state_, gate, registry);
}

absl::Status Authority::ListenForAgents() {
  AddMethods(tcp_gate_, tcp_methods_);
  const AuthorityOptions& options = state_->options;
  ASSIGN_OR_RETURN(UniqueFd listener, rpc::ListenTcp(options.bind_address, options.bind_port));
  ASSIGN_OR_RETURN(port_, PortOf(listener.get()));
  rpc::Server::Options server;
  server.limits.max_connection_age = kConnectionAge;
  server.limits.max_pending_bytes = kMostPendingBytes;
  server.tls = [this] { return TlsOptions(); };
  ASSIGN_OR_RETURN(tcp_server_, rpc::Server::Create(state_->loop, tcp_methods_, std::move(server)));
  log::Info("serving agents", {{"address", options.bind_address}, {"port", port_}});
  return tcp_server_->Listen(std::move(listener));
}

absl::Status Authority::ListenForOperators() {
  AddMethods(local_gate_, local_methods_);
  // For operators alone, as nothing else is on this socket.
  health_.AddTo(local_methods_);
  AddReflection(local_methods_);
  const std::string& path = state_->options.socket_path;
  ASSIGN_OR_RETURN(UniqueFd listener, rpc::ListenUnix(path, kSocketMode));
  rpc::Server::Options server;
  server.limits.max_pending_bytes = kMostPendingBytes;
  ASSIGN_OR_RETURN(local_server_,
                   rpc::Server::Create(state_->loop, local_methods_, std::move(server)));
  log::Info("serving operators", {{"socket_path", path}});
  return local_server_->Listen(std::move(listener));
}

absl::StatusOr<crypto::TlsConnection::ServerOptions> Authority::TlsOptions() {
  ASSIGN_OR_RETURN(crypto::TlsIdentity identity, identity_.Get());
  return crypto::TlsConnection::ServerOptions{
      .identity = std::move(identity),
      .verify_client = [this](const std::vector<crypto::Certificate>& chain) {
        return VerifyX509Svid(chain, state_->OwnBundle(), state_->clock.Now()).status();
      }};
}

void Authority::Prune() {
  PruneEntries(*state_);
  PruneJoinTokens(*state_);
  prune_timer_ = state_->loop.After(kPruneEvery, [this] { Prune(); });
}

absl::Status RunAuthority(const AuthorityOptions& options) {
  RETURN_IF_ERROR(HardenProcess());
  ASSIGN_OR_RETURN(const UniqueFd signals, BlockEndSignals());
  const SystemClock clock;
  ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create(clock));
  ASSIGN_OR_RETURN(std::unique_ptr<Authority> authority, Authority::Create(options, clock, *loop));
  RETURN_IF_ERROR(
      loop->Watch(signals.get(), EPOLLIN, [&loop](uint32_t /*events*/) { loop->Stop(); }));
  loop->Run();
  loop->Unwatch(signals.get());
  log::Info("authority stops");
  authority.reset();
  return absl::OkStatus();
}

}  // namespace assay
