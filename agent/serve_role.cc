// SPDX-License-Identifier: GPL-3.0-or-later
// The serve role: the process that callers talk to. It has what this node may serve, told by the
// identity role, and goes on serving it while that is away; it asks the probe role who its callers
// are, and has no other way to ask for anything.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/audit_sender.h"
#include "agent/caller.h"
#include "agent/pinned_processes.h"
#include "agent/probe_client.h"
#include "agent/role_context.h"
#include "agent/role_main.h"
#include "agent/roles.h"
#include "agent/serve_counts.h"
#include "assay/roles.pb.h"
#include "base/log.h"
#include "base/sandbox/channel.h"
#include "rpc/call.h"
#include "rpc/server.h"
#include "workload-api/debug_service.h"
#include "workload-api/delegated_identity_service.h"
#include "workload-api/explain_service.h"
#include "workload-api/health_service.h"
#include "workload-api/identity_set.h"
#include "workload-api/logger_service.h"
#include "workload-api/reflection_service.h"
#include "workload-api/sds_service.h"
#include "workload-api/served_state.h"
#include "workload-api/workload_service.h"

namespace assay {
namespace {

// Of ids in one message, to stay well below a message's cap.
constexpr size_t kMaxIdsPerMessage = 400;
// That the identity role has not read, of what callers can cause as much as they like of.
constexpr size_t kMaxQueuedBytes = 256 << 10;
constexpr absl::Duration kRefusedInterval = absl::Seconds(1);
// Of the admin socket: a delegate has a stream for each of its processes, on one connection often.
constexpr uint32_t kMaxAdminStreams = 1024;
constexpr size_t kMaxAdminRequestBytes = 256 << 10;

struct ServiceOptions {
  IdentitySets::Options sets;
  JwtTokens::Options jwt;
  WorkloadService::Options workload;
  SdsOptions sds;
  DebugService::Options debug;
  LoggerService::Options logger;
  std::optional<AuditSender::Options> audit;  // Unset: there is no audit log.
};

// Everything that needs the configuration.
struct Service {
  Service(RoleContext& context, ProbeClient& probe, const ServedState& state,
          ServiceOptions options)
      : counts(context.clock()),
        sets(state, context.clock(), context.loop(), options.sets),
        jwt_tokens(context.loop(), context.clock(), state, std::move(options.jwt)),
        callers({context.loop(), context.clock(), probe, sets, counts}),
        audit(options.audit.has_value() ? std::make_unique<AuditSender>(*std::move(options.audit))
                                        : nullptr),
        processes(context.loop(), probe),
        workload({context.loop(), context.clock(), state, callers, jwt_tokens, audit.get()},
                 options.workload),
        delegated({context.loop(), context.clock(), state, callers, sets, jwt_tokens, processes,
                   workload.last_refusals(), audit.get()},
                  std::move(options.workload.on_refused)),
        sds(workload.CallsOf("SDS.v3"), options.sets.trust_domain, std::move(options.sds)),
        debug(std::move(options.debug), context.clock(), state, jwt_tokens),
        logger(std::move(options.logger)),
        explained(context.loop(), probe),
        explain(context.loop(), state, explained, workload.last_refusals()) {
    health.AddTo(registry);
    AddReflection(registry);
    delegated.AddTo(admin_registry);
    debug.AddTo(admin_registry);
    logger.AddTo(admin_registry);
    explain.AddTo(admin_registry);
  }

  ServeCounts counts;  // Before the servers, which tell it.
  IdentitySets sets;
  JwtTokens jwt_tokens;
  Callers callers;
  std::unique_ptr<AuditSender> audit;  // Null: there is no audit log.
  PinnedProcesses processes;
  WorkloadService workload;
  DelegatedIdentityService delegated;
  SdsService sds;
  HealthService health{/*serving=*/false};
  DebugService debug;
  LoggerService logger;
  PinnedProcesses explained;
  ExplainService explain;
  rpc::Registry registry;
  rpc::Registry admin_registry;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<rpc::Server> admin_server;
};

class ServeRole final : public RoleBody {
 public:
  explicit ServeRole(RoleContext& context)
      : context_(context),
        probe_(context.loop(), context.clock(),
               [&context](const absl::Status& why) { context.LinkEnded(roles::PROBE, why); }) {}
  ~ServeRole() override { context_.loop().Cancel(refused_timer_); }

  absl::Status OnStart(const roles::Start& start) override;
  absl::Status OnReload(const roles::Start& start) override;
  absl::Status OnLink(roles::Role peer, UniqueFd channel) override;
  absl::Status OnListen(roles::Endpoint endpoint, UniqueFd listener) override;
  void OnAuditState(const roles::AuditState& state) override {
    if (service_->audit != nullptr) {
      service_->audit->OnState(state);
    }
  }

 private:
  absl::Status LinkIdentity(UniqueFd channel);
  void OnStateChange(std::string_view bytes, const UniqueFd& fd);
  absl::Status TakeStateChange(std::string_view bytes, const UniqueFd& fd);
  void Want(const std::vector<std::string>& entry_ids);
  void TellUsed(const std::vector<std::string>& entry_ids);
  void TellRefused();
  void Tell(const roles::ServeRequest& request);
  // False: the identity role is away, or has not read what it was told before.
  bool TellIfRead(const roles::ServeRequest& request);
  std::optional<AuditSender::Options> AuditOptionsOf(const roles::ServeStart& start);

  RoleContext& context_;
  ProbeClient probe_;
  ServedState state_;
  std::unique_ptr<Channel> identity_;
  EventLoop::TimerId refused_timer_ = 0;
  bool refused_again_ = false;
  std::optional<Service> service_;
};

SdsOptions SdsOptionsOf(const roles::SdsStart& sds) {
  return {.default_svid_name = sds.default_svid_name(),
          .default_bundle_name = sds.default_bundle_name(),
          .default_all_bundles_name = sds.default_all_bundles_name(),
          .disable_spiffe_cert_validation = sds.disable_spiffe_cert_validation()};
}

std::optional<AuditSender::Options> ServeRole::AuditOptionsOf(const roles::ServeStart& start) {
  if (!start.has_audit()) {
    return std::nullopt;
  }
  return AuditSender::Options{
      .refuse = start.audit().refuse(),
      .tell = [this](const roles::HandedOutKeys& keys) { return context_.TellHandedOut(keys); }};
}

absl::Status ServeRole::OnStart(const roles::Start& start) {
  ASSIGN_OR_RETURN(TrustDomain trust_domain, TrustDomain::Parse(start.serve().trust_domain()));
  service_.emplace(
      context_, probe_, state_,
      ServiceOptions{
          .sets = {.trust_domain = start.serve().trust_domain(),
                   .want = [this](const std::vector<std::string>& ids) { Want(ids); },
                   .used = [this](const std::vector<std::string>& ids) { TellUsed(ids); }},
          .jwt = {.trust_domain = start.serve().trust_domain(),
                  .tell = [this](const auto& request) { return TellIfRead(request); }},
          .workload = {.allow_unauthenticated_verifiers =
                           start.serve().allow_unauthenticated_verifiers(),
                       .on_refused = [this] { TellRefused(); },
                       .jwt = {.trust_domain = start.serve().trust_domain(),
                               .allowed_foreign_claims = {}}},
          .sds = SdsOptionsOf(start.serve().sds()),
          .debug = {.trust_domain = std::move(trust_domain),
                    .started_at = absl::FromUnixSeconds(start.serve().started_at())},
          .logger = {.launch_level = static_cast<log::Level>(start.serve().launch_log_level()),
                     .set = [this](log::Level level) { context_.SetLogLevel(level); }},
          .audit = AuditOptionsOf(start.serve())});
  if (!start.serve().disable_workload_api()) {
    service_->workload.AddTo(service_->registry);
  }
  if (start.serve().has_sds()) {
    service_->sds.AddTo(service_->registry);
  }
  RETURN_IF_ERROR(OnReload(start));
  rpc::Server::Options options;
  options.limits.max_message_bytes = WorkloadService::kMaxRequestBytes;
  options.interceptor = WorkloadService::CheckSecurityHeader;
  options.on_connect = [this](rpc::Peer& peer) {
    service_->counts.NoteConnection();
    return service_->callers.OnConnect(peer);
  };
  options.observer = &service_->counts;
  ASSIGN_OR_RETURN(service_->server,
                   rpc::Server::Create(context_.loop(), service_->registry, std::move(options)));
  rpc::Server::Options admin_options;
  admin_options.limits.max_streams_per_connection = kMaxAdminStreams;
  admin_options.limits.max_message_bytes = kMaxAdminRequestBytes;
  admin_options.on_connect = [this](rpc::Peer& peer) { return service_->callers.OnConnect(peer); };
  admin_options.observer = &service_->counts;
  ASSIGN_OR_RETURN(
      service_->admin_server,
      rpc::Server::Create(context_.loop(), service_->admin_registry, std::move(admin_options)));
  return absl::OkStatus();
}

absl::Status ServeRole::OnReload(const roles::Start& start) {
  const bool verifiers = start.serve().allow_unauthenticated_verifiers();
  service_->workload.SetAllowUnauthenticatedVerifiers(verifiers);
  service_->sds.SetAllowUnauthenticatedVerifiers(verifiers);
  const auto& shown = start.serve().log_selectors();
  service_->workload.ShowSelectors({shown.begin(), shown.end()});
  service_->delegated.ShowSelectors({shown.begin(), shown.end()});
  const auto& delegates = start.serve().authorized_delegates();
  service_->delegated.Authorize({delegates.begin(), delegates.end()});
  const auto& claims = start.serve().allowed_foreign_jwt_claims();
  service_->workload.AllowForeignJwtClaims({claims.begin(), claims.end()});
  service_->jwt_tokens.SetRenewalWait(start.serve().has_jwt_renewal_wait_ms()
                                          ? absl::Milliseconds(start.serve().jwt_renewal_wait_ms())
                                          : JwtTokens::kRenewalWait);
  return absl::OkStatus();
}

absl::Status ServeRole::OnListen(roles::Endpoint endpoint, UniqueFd listener) {
  if (endpoint == roles::ADMIN) {
    return service_->admin_server->Listen(std::move(listener));
  }
  if (endpoint != roles::WORKLOAD_API) {
    return InvalidArgument("the serve role does not know endpoint {}", static_cast<int>(endpoint));
  }
  // At once, also before the first state: callers are attested when they are accepted.
  return service_->server->Listen(std::move(listener));
}

absl::Status ServeRole::OnLink(roles::Role peer, UniqueFd channel) {
  if (peer == roles::PROBE) {
    return probe_.Link(std::move(channel));
  }
  if (peer == roles::IDENTITY) {
    return LinkIdentity(std::move(channel));
  }
  return PermissionDenied("the serve role is not linked to role {}", static_cast<int>(peer));
}

// What is served stays as it is until the new identity role has told its complete state.
absl::Status ServeRole::LinkIdentity(UniqueFd channel) {
  ASSIGN_OR_RETURN(
      identity_,
      Channel::Create(
          context_.loop(), std::move(channel),
          [this](std::string_view bytes, UniqueFd fd) { OnStateChange(bytes, fd); },
          // What is known goes on being served.
          [this](const absl::Status& why) { context_.LinkEnded(roles::IDENTITY, why); }));
  service_->sets.WantAgain();
  service_->jwt_tokens.AskAgain();
  return absl::OkStatus();
}

void ServeRole::OnStateChange(std::string_view bytes, const UniqueFd& fd) {
  if (absl::Status taken = TakeStateChange(bytes, fd); !taken.ok()) {
    // What it told is served on; whoever sends this is not listened to any more.
    context_.PeerBrokeRules(roles::IDENTITY, taken);
    context_.loop().Post([this, dropped = identity_.get()] {
      if (identity_.get() == dropped) {
        identity_.reset();
      }
    });
  }
}

absl::Status ServeRole::TakeStateChange(std::string_view bytes, const UniqueFd& fd) {
  RETURN_IF_ERROR(CheckPermitted(roles::IDENTITY, roles::SERVE, kWholeMessage));
  roles::StateChange change;
  if (fd.valid() || !change.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("a change of state that does not parse, or with a descriptor");
  }
  if (change.has_jwts()) {
    return service_->jwt_tokens.Take(*change.mutable_jwts());
  }
  if (change.report() != 0) {
    roles::ServeRequest request;
    roles::Report& report = *request.mutable_report();
    report.set_number(change.report());
    service_->counts.FillIn(report);
    report.set_open_connections(static_cast<uint32_t>(service_->server->connections()));
    Tell(request);
    return absl::OkStatus();
  }
  const bool unready = change.unready();
  ASSIGN_OR_RETURN(const bool committed, state_.Receive(std::move(change)));
  if (committed) {
    service_->jwt_tokens.Reconcile();
    service_->sets.Refresh();
    service_->delegated.Refresh();
    service_->health.SetServing(!unready);
    context_.Ready();
  }
  return absl::OkStatus();
}

void ServeRole::Want(const std::vector<std::string>& entry_ids) {
  for (size_t begin = 0; begin < entry_ids.size(); begin += kMaxIdsPerMessage) {
    roles::ServeRequest request;
    const size_t end = std::min(entry_ids.size(), begin + kMaxIdsPerMessage);
    request.mutable_wanted()->mutable_entry_ids()->Add(entry_ids.begin() + begin,
                                                       entry_ids.begin() + end);
    Tell(request);
  }
}

void ServeRole::TellUsed(const std::vector<std::string>& entry_ids) {
  for (size_t begin = 0; begin < entry_ids.size(); begin += kMaxIdsPerMessage) {
    roles::ServeRequest request;
    const size_t end = std::min(entry_ids.size(), begin + kMaxIdsPerMessage);
    request.mutable_used()->mutable_entry_ids()->Add(entry_ids.begin() + begin,
                                                     entry_ids.begin() + end);
    Tell(request);
  }
}

// At most once in a while: callers without an identity may ask as often as they like.
void ServeRole::TellRefused() {
  if (refused_timer_ != 0) {
    refused_again_ = true;
    return;
  }
  refused_timer_ = context_.loop().After(kRefusedInterval, [this] {
    refused_timer_ = 0;
    if (std::exchange(refused_again_, false)) {
      TellRefused();
    }
  });
  roles::ServeRequest request;
  request.mutable_refused();
  Tell(request);
}

void ServeRole::Tell(const roles::ServeRequest& request) {
  if (identity_ == nullptr) {
    return;
  }
  if (absl::Status sent = identity_->Send(request); !sent.ok()) {
    log::Error("Asking the identity role failed", {{"error", sent}});
  }
}

bool ServeRole::TellIfRead(const roles::ServeRequest& request) {
  const bool reads = identity_ != nullptr && identity_->queued_bytes() < kMaxQueuedBytes;
  if (reads) {
    Tell(request);
  }
  return reads;
}

}  // namespace

int RunServe(UniqueFd control) {
  // Callers are answered that their requests do not parse. Protobuf would write a line of each to
  // standard error, as many as they like.
  google::protobuf::SetLogHandler(nullptr);
  absl::StatusOr<std::unique_ptr<RoleContext>> context =
      RoleContext::Create(roles::SERVE, std::move(control));
  if (!context.ok()) {
    log::Error("Role failed", {{"role", "serve"}, {"error", context.status()}});
    return 1;
  }
  ServeRole role(**context);
  return (*context)->Run(role);
}

}  // namespace assay
