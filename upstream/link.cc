// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/link.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "upstream/dial.h"
#include "upstream/tls_handshake.h"

namespace assay {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
constexpr int kMaxMessageBytes = 16 << 20;
constexpr std::string_view kServerPath = "/spire/server";

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> SocketPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
    return ErrnoStatus(errno, "socketpair");
  }
  return std::make_pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

std::shared_ptr<grpc::Channel> ChannelOn(UniqueFd fd, const std::string& authority) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, authority);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  return grpc::CreateCustomInsecureChannelFromFd(authority, fd.Release(), arguments);
}

}  // namespace

Link::Link(UpstreamOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      target_(fmt::format("{}:{}", options_.address, options_.port)) {}

Link::~Link() = default;

absl::StatusOr<Link::Lease> Link::Get() {
  Plan plan;
  {
    MutexLock lock(mutex_);
    const uint64_t seen_failures = failures_;
    while (true) {
      if (current_ != nullptr && current_->tunnel->alive()) {
        return Lease{current_, /*fresh=*/false};
      }
      if (failures_ != seen_failures) {
        return last_failure_;
      }
      if (!connecting_) {
        break;
      }
      changed_.Wait(mutex_);
    }
    connecting_ = true;
    plan = plan_;
  }
  auto connection = Connect(plan);
  MutexLock lock(mutex_);
  connecting_ = false;
  changed_.NotifyAll();
  if (!connection.ok()) {
    ++failures_;
    last_failure_ = connection.status();
    return connection.status();
  }
  // An SVID that came meanwhile wants a connection of its own.
  if (plan_.generation == plan.generation) {
    current_ = *connection;
  }
  return Lease{*connection, /*fresh=*/true};
}

absl::StatusOr<Link::SharedConnection> Link::ConnectAnonymously() {
  Plan plan;
  {
    MutexLock lock(mutex_);
    plan = plan_;
  }
  plan.identity = nullptr;
  return Connect(plan);
}

absl::StatusOr<TunnelThread*> Link::Thread() {
  MutexLock lock(mutex_);
  if (thread_ == nullptr) {
    ASSIGN_OR_RETURN(thread_, TunnelThread::Create(clock_));
  }
  return thread_.get();
}

absl::StatusOr<Link::SharedConnection> Link::Connect(const Plan& plan) {
  if (plan.bundle == nullptr && !options_.insecure_bootstrap) {
    return FailedPrecondition("connecting to {}: no trust bundle to verify the upstream by",
                              target_);
  }
  auto connection = Tunneled(plan);
  if (!connection.ok()) {
    return Unavailable("connecting to {}: {}", target_, Message(connection.status()));
  }
  return connection;
}

absl::StatusOr<Link::SharedConnection> Link::Tunneled(const Plan& plan) {
  ASSIGN_OR_RETURN(TunnelThread * thread, Thread());
  ASSIGN_OR_RETURN(UniqueFd network, DialTcp(options_.address, options_.port, kConnectTimeout));
  ASSIGN_OR_RETURN(auto ends, SocketPair());
  ASSIGN_OR_RETURN(std::unique_ptr<crypto::TlsConnection> tls,
                   MakeHandshake(network, {.identity = plan.identity,
                                           .verify_server = VerifierFor(plan.bundle)}));
  std::shared_ptr<Tunnel> tunnel =
      Tunnel::Start(thread->loop(), std::move(network), std::move(ends.first), std::move(tls));
  return std::make_shared<const Connection>(
      Connection{.channel = ChannelOn(std::move(ends.second), target_), .tunnel = tunnel});
}

crypto::ChainVerifier Link::VerifierFor(std::shared_ptr<const TrustBundle> bundle) const {
  return [bundle = std::move(bundle), wanted = options_.trust_domain.IdString(),
          &clock = clock_](const std::vector<crypto::Certificate>& chain) -> absl::Status {
    // Without a bundle the operator has accepted that anybody may claim the name.
    const auto id = bundle == nullptr ? ParseLeafId(chain.front())
                                      : VerifyX509Svid(chain, *bundle, clock.Now());
    if (!id.ok()) {
      return id.status();
    }
    if (id->ToString() != wanted + std::string(kServerPath)) {
      return PermissionDenied("the server is {}, wanted {}{}", id->ToString(), wanted, kServerPath);
    }
    return absl::OkStatus();
  };
}

void Link::Drop(const SharedConnection& connection) {
  MutexLock lock(mutex_);
  if (current_ == connection) {
    current_ = nullptr;
  }
}

absl::Status Link::Explain(const SharedConnection& connection, const absl::Status& status) const {
  if (status.code() != absl::StatusCode::kUnavailable || connection->tunnel->alive()) {
    return status;
  }
  const absl::Status why = connection->tunnel->failure();
  return Unavailable("connecting to {}: {}", target_,
                     why.ok() ? "the upstream closed the connection" : Message(why));
}

void Link::SetBundle(const TrustBundle& bundle) {
  auto copy = std::make_shared<const TrustBundle>(bundle);
  MutexLock lock(mutex_);
  plan_.bundle = std::move(copy);
}

void Link::SetSvid(std::optional<X509Svid> svid) {
  std::shared_ptr<const crypto::TlsIdentity> identity;
  std::optional<SpiffeId> id;
  if (svid.has_value()) {
    identity = std::make_shared<const crypto::TlsIdentity>(
        crypto::TlsIdentity{.chain = svid->chain, .signer = svid->key});
    id = svid->id;
  }
  SharedConnection replaced;  // Dies after the lock is released.
  MutexLock lock(mutex_);
  plan_.identity = std::move(identity);
  ++plan_.generation;
  own_id_ = std::move(id);
  replaced = std::exchange(current_, nullptr);
}

std::optional<SpiffeId> Link::own_id() const {
  MutexLock lock(mutex_);
  return own_id_;
}

}  // namespace assay
