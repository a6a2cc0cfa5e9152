// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/link.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <numeric>
#include <utility>

#include "upstream/call_status.h"
#include "upstream/dial.h"
#include "upstream/tls_handshake.h"

namespace assay {
namespace {

// Nothing further is tried after this long, even where there is more time.
constexpr absl::Duration kConnectPatience = absl::Seconds(30);
constexpr absl::Duration kLongestWait = absl::Seconds(10);
constexpr absl::Duration kFailedFor = absl::Minutes(2);
constexpr int kMaxMessageBytes = 16 << 20;
constexpr std::string_view kServerPath = "/spire/server";
constexpr std::string_view kUnknownAuthority = "signed by unknown authority";

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
      failed_at_(options_.addresses.size(), -absl::InfiniteDuration()) {}

Link::~Link() = default;

absl::StatusOr<Link::Lease> Link::Get(absl::Duration deadline) {
  Plan plan;
  SharedConnection replaced;  // Dies without the lock.
  {
    MutexLock lock(mutex_);
    const uint64_t seen_failures = failures_;
    while (true) {
      if (current_ != nullptr && current_->tunnel->takes_calls()) {
        return Lease{current_, /*fresh=*/false};
      }
      if (failures_ != seen_failures) {
        return last_failure_;
      }
      if (!connecting_) {
        break;
      }
      const absl::Duration left = deadline - clock_.SinceBoot();
      if (left <= absl::ZeroDuration()) {
        return Unavailable("connecting to the upstream: not within the time that the call has");
      }
      changed_.WaitFor(mutex_, absl::ToChronoMilliseconds(std::min(left, kLongestWait)) +
                                   std::chrono::milliseconds(1));
    }
    connecting_ = true;
    plan = plan_;
    plan.deadline = deadline;
  }
  const auto connection = Connect(plan);
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
    replaced = std::exchange(current_, *connection);
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

absl::StatusOr<Link::SharedConnection> Link::Connect(Plan plan) {
  if (plan.bundle == nullptr && !options_.insecure_bootstrap) {
    return FailedPrecondition("connecting to {}: no trust bundle to verify the upstream by",
                              NameOf(0));
  }
  plan.deadline = std::min(plan.deadline, clock_.SinceBoot() + kConnectPatience);
  absl::Status failure;
  bool all_untrusted = true;
  for (const size_t host : HostsInOrder()) {
    if (clock_.SinceBoot() >= plan.deadline) {
      // Whoever was not asked may be trusted.
      return failure.ok() ? Unavailable("connecting to {}: not within the time that the call has",
                                        NameOf(host))
                          : failure;
    }
    auto connection = ConnectTo(host, plan);
    NoteHost(host, !connection.ok());
    if (connection.ok()) {
      return connection;
    }
    all_untrusted = all_untrusted && IsUntrusted(connection.status());
    failure = Unavailable("connecting to {}: {}", NameOf(host), Message(connection.status()));
  }
  if (failure.ok()) {
    return Unavailable("no address of the upstream is configured");
  }
  return all_untrusted ? MarkedUntrusted(std::move(failure)) : failure;
}

// By the first of the host's addresses that both answers and is trusted. Untrusted is one of whose
// addresses all that answer are: often one of two families does not.
absl::StatusOr<Link::SharedConnection> Link::ConnectTo(size_t host, const Plan& plan) {
  ASSIGN_OR_RETURN(std::vector<SocketAddress> addresses,
                   ResolveHost(options_.addresses[host], options_.port));
  absl::Status failure;
  bool all_untrusted = true;
  while (!addresses.empty()) {
    const absl::Duration left = plan.deadline - clock_.SinceBoot();
    if (left <= absl::ZeroDuration()) {
      return Unavailable("{}", failure.ok() ? "no time is left" : Message(failure));
    }
    absl::StatusOr<Dialed> dialed = DialTcp(addresses, {.within = left});
    if (!dialed.ok()) {
      return failure.ok() ? dialed.status() : failure;
    }
    auto connection = Tunneled(host, std::move(dialed->socket), plan);
    if (connection.ok()) {
      return connection;
    }
    all_untrusted = all_untrusted && IsUntrusted(connection.status());
    failure = Unavailable("{}", Message(connection.status()));
    if (all_untrusted) {
      failure = MarkedUntrusted(std::move(failure));
    }
    addresses.erase(addresses.begin() + static_cast<std::ptrdiff_t>(dialed->index));
  }
  return failure;
}

absl::StatusOr<Link::SharedConnection> Link::Tunneled(size_t host, UniqueFd network,
                                                      const Plan& plan) {
  ASSIGN_OR_RETURN(TunnelThread * thread, Thread());
  ASSIGN_OR_RETURN(auto ends, SocketPair());
  HandshakeOptions handshake{.identity = plan.identity,
                             .verify_server = VerifierFor(plan.bundle),
                             .require_post_quantum = options_.require_post_quantum};
  handshake.timeout =
      std::clamp(plan.deadline - clock_.SinceBoot(), absl::ZeroDuration(), handshake.timeout);
  ASSIGN_OR_RETURN(std::unique_ptr<crypto::TlsConnection> tls, MakeHandshake(network, handshake));
  std::shared_ptr<Tunnel> tunnel =
      Tunnel::Start(thread->loop(), std::move(network), std::move(ends.first), std::move(tls));
  return std::make_shared<const Connection>(Connection{
      .channel = ChannelOn(std::move(ends.second), NameOf(host)), .tunnel = tunnel, .host = host});
}

std::vector<size_t> Link::HostsInOrder() const {
  std::vector<size_t> order(hosts());
  std::iota(order.begin(), order.end(), 0);
  std::vector<absl::Duration> failed_at;
  {
    MutexLock lock(mutex_);
    failed_at = failed_at_;
  }
  const absl::Duration now = clock_.SinceBoot();
  // Of those that failed lately the one that did first, so that each has its turn.
  const auto since = [&](size_t host) {
    return now - failed_at[host] > kFailedFor ? -absl::InfiniteDuration() : failed_at[host];
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return since(a) < since(b); });
  return order;
}

void Link::NoteHost(size_t host, bool failed) {
  MutexLock lock(mutex_);
  failed_at_[host] = failed ? clock_.SinceBoot() : -absl::InfiniteDuration();
}

std::string Link::NameOf(size_t host) const {
  const std::string& address = host < hosts() ? options_.addresses[host] : std::string();
  const bool is_six = address.find(':') != std::string::npos;
  return is_six ? fmt::format("[{}]:{}", address, options_.port)
                : fmt::format("{}:{}", address, options_.port);
}

crypto::ChainVerifier Link::VerifierFor(std::shared_ptr<const TrustBundle> bundle) const {
  return [bundle = std::move(bundle), wanted = options_.trust_domain.IdString(),
          &clock = clock_](const std::vector<crypto::Certificate>& chain) -> absl::Status {
    // Without a bundle the operator has accepted that anybody may claim the name.
    const auto id = bundle == nullptr ? ParseLeafId(chain.front())
                                      : VerifyX509Svid(chain, *bundle, clock.Now());
    if (!id.ok()) {
      return Message(id.status()).ends_with(kUnknownAuthority) ? MarkedUntrusted(id.status())
                                                               : id.status();
    }
    if (id->ToString() != wanted + std::string(kServerPath)) {
      return PermissionDenied("the server is {}, wanted {}{}", id->ToString(), wanted, kServerPath);
    }
    return absl::OkStatus();
  };
}

void Link::Drop(const SharedConnection& connection, bool host_failed) {
  if (host_failed) {
    NoteHost(connection->host, true);
  }
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
  return Unavailable("connecting to {}: {}", NameOf(connection->host),
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
  SharedConnection replaced;  // Dies without the lock.
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
