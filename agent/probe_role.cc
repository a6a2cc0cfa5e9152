// SPDX-License-Identifier: GPL-3.0-or-later
// The probe role: answers serve's questions about callers. It parses no caller's bytes and holds
// nothing.
#include <unistd.h>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/attest_answer.h"
#include "agent/plugin_links.h"
#include "agent/prober.h"
#include "agent/process_origin.h"
#include "agent/role_context.h"
#include "agent/role_main.h"
#include "agent/roles.h"
#include "agent/worker_threads.h"
#include "assay/roles.pb.h"
#include "attestors/workload/unix.h"
#include "base/log.h"
#include "base/sandbox/channel.h"
#include "plugins/workload_attestor.h"

namespace assay {
namespace {

// Hashing and name lookups wait more than they compute. Of one user at most kThreadsOfUser run, so
// that it takes many users to keep the others waiting; serve bounds what waits, by user too.
constexpr size_t kThreads = 16;
constexpr size_t kThreadsOfUser = 2;
constexpr size_t kMaxQueued = 4096;

static_assert(kThreads == WorkloadAttestorPlugin::kSlowUsers * kThreadsOfUser);

// What else there is in a reply is short.
constexpr size_t kMaxRunBytes = kMostRuns * (kMostRunName + kMostRunError + 24);
static_assert(Prober::kMaxSelectorBytes + ProcessOrigin::kMaxCgroupBytes + kMaxRunBytes + 1024 <=
              Channel::kMaxMessageBytes);

void FillFacts(const Attestation& attestation, roles::AttestReply& reply) {
  roles::Facts& facts = *reply.mutable_facts();
  facts.set_executable_device(attestation.executable.device);
  facts.set_executable_inode(attestation.executable.inode);
  facts.set_groups_digest(attestation.credentials.GroupsDigest());
}

void FillSelectors(Attestation& attestation, roles::AttestReply& reply) {
  for (Selector& selector : attestation.selectors) {
    roles::Selector& out = *reply.add_selectors();
    out.set_type(std::move(selector.type));
    out.set_value(std::move(selector.value));
  }
}

void FillRuns(const Attestation& attestation, roles::AttestReply& reply) {
  for (const AttestorRun& run : attestation.runs) {
    if (static_cast<size_t>(reply.runs_size()) == kMostRuns) {
      break;
    }
    roles::AttestorRun& out = *reply.add_runs();
    out.set_name(run.name.substr(0, kMostRunName));
    out.set_microseconds(absl::ToInt64Microseconds(run.took));
    out.set_error(run.error.substr(0, kMostRunError));
  }
}

roles::AttestReply Failure(uint64_t id, const absl::Status& why) {
  roles::AttestReply reply;
  reply.set_id(id);
  reply.set_code(static_cast<int>(why.code()));
  reply.set_error(std::string(Message(why)));
  return reply;
}

void FillOrigin(int folder, const Clock& clock, roles::Origin& out) {
  const ProcessOrigin origin = ReadOrigin(folder);
  out.set_start_ticks(origin.start_ticks);
  out.set_cgroup(origin.cgroup);
  if (origin.start_ticks > 0) {
    const absl::Duration since_boot =
        absl::Seconds(static_cast<double>(origin.start_ticks) / sysconf(_SC_CLK_TCK));
    out.set_started_at_ms(absl::ToUnixMillis(clock.Now() - clock.SinceBoot() + since_boot));
  }
}

// The facts come also with a failure: they are of the program that connected, and a later attempt
// is held against them.
roles::AttestReply Finish(const Prober& prober, uint64_t id, Attestation& attestation) {
  roles::AttestReply reply;
  if (absl::Status done = prober.Finish(attestation); !done.ok()) {
    reply = Failure(id, done);
  } else {
    reply.set_id(id);
    FillSelectors(attestation, reply);
  }
  FillFacts(attestation, reply);
  FillRuns(attestation, reply);
  return reply;
}

class ProbeRole final : public RoleBody {
 public:
  explicit ProbeRole(RoleContext& context)
      : context_(context),
        plugins_(context, roles::PROBE),
        workers_(kThreads, kMaxQueued, kThreadsOfUser) {}

  absl::Status OnStart(const roles::Start& start) override;
  absl::Status OnLink(roles::Role peer, UniqueFd channel) override;
  absl::Status OnPluginLink(uint32_t plugin, UniqueFd channel) override {
    return plugins_.OnLink(plugin, std::move(channel));
  }
  bool has_plugins() const { return has_plugins_; }

 private:
  void OnRequest(std::string_view bytes, UniqueFd fd);
  void Attest(const roles::AttestRequest& request, UniqueFd pidfd);
  void AttestOnWorker(uint64_t id, Attestation attestation);
  roles::AttestReply FinishReply(uint64_t id, Attestation& attestation) const;
  void Reply(const roles::AttestReply& reply);

  RoleContext& context_;
  PluginLinks plugins_;
  bool has_plugins_ = false;
  bool tells_origin_ = false;
  std::unique_ptr<const Prober> prober_;
  std::unique_ptr<Channel> serve_;
  uint64_t link_ = 0;      // Counts the links, so that no answer goes to another serve.
  WorkerThreads workers_;  // Last: its jobs use the prober.
};

absl::Status ProbeRole::OnStart(const roles::Start& start) {
  tells_origin_ = start.probe().tells_origin();
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  if (start.probe().has_unix()) {
    attestors.push_back(std::make_unique<UnixAttestor>(
        context_.clock(),
        UnixAttestor::Options{
            .discover_workload_path = start.probe().unix().discover_workload_path(),
            .workload_size_limit = start.probe().unix().workload_size_limit()}));
  }
  for (const roles::ProbeStart::Plugin& plugin : start.probe().plugins()) {
    has_plugins_ = true;
    attestors.push_back(std::make_unique<WorkloadAttestorPlugin>(
        plugins_.Add(plugin.number(), {PluginType::kWorkloadAttestor, plugin.name()}),
        context_.clock()));
  }
  prober_ = std::make_unique<const Prober>(std::move(attestors), context_.clock());
  context_.Ready();
  return absl::OkStatus();
}

absl::Status ProbeRole::OnLink(roles::Role peer, UniqueFd channel) {
  if (peer != roles::SERVE) {
    return PermissionDenied("the probe role is linked to serve alone");
  }
  ++link_;
  ASSIGN_OR_RETURN(
      serve_, Channel::Create(
                  context_.loop(), std::move(channel),
                  [this](std::string_view bytes, UniqueFd fd) { OnRequest(bytes, std::move(fd)); },
                  [this](const absl::Status& why) { context_.LinkEnded(roles::SERVE, why); }));
  return absl::OkStatus();
}

void ProbeRole::OnRequest(std::string_view bytes, UniqueFd fd) {
  roles::AttestRequest request;
  absl::Status permitted = CheckPermitted(roles::SERVE, roles::PROBE, kWholeMessage);
  if (permitted.ok() && !request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    permitted = InvalidArgument("serve sent a request that does not parse");
  }
  if (permitted.ok() &&
      static_cast<size_t>(request.groups().gids_size()) > ProcessCredentials::kMaxGroups) {
    permitted = InvalidArgument("serve sent too many groups");
  }
  if (!permitted.ok()) {
    context_.PeerBrokeRules(roles::SERVE, permitted);
    context_.loop().Post([this, link = link_] {
      if (link == link_) {
        serve_.reset();
      }
    });
    return;
  }
  if (!request.facts_only()) {
    Attest(request, std::move(fd));
    return;
  }
  const absl::StatusOr<Attestation> found =
      prober_->Recheck({request.pid(), request.uid(), request.gid()});
  if (!found.ok()) {
    Reply(Failure(request.id(), found.status()));
    return;
  }
  roles::AttestReply reply;
  reply.set_id(request.id());
  FillFacts(*found, reply);
  Reply(reply);
}

void ProbeRole::Attest(const roles::AttestRequest& request, UniqueFd pidfd) {
  Prober::Claim claim = {request.pid(), request.uid(), request.gid()};
  claim.any_owner = request.any_owner();
  if (request.has_groups()) {
    claim.groups.emplace(request.groups().gids().begin(), request.groups().gids().end());
  }
  absl::StatusOr<Attestation> begun = prober_->Begin(claim, std::move(pidfd));
  if (!begun.ok()) {
    Reply(Failure(request.id(), begun.status()));
  } else if (prober_->MayBlock(*begun)) {
    AttestOnWorker(request.id(), *std::move(begun));
  } else {
    Reply(FinishReply(request.id(), *begun));
  }
}

roles::AttestReply ProbeRole::FinishReply(uint64_t id, Attestation& attestation) const {
  roles::AttestReply reply = Finish(*prober_, id, attestation);
  if (tells_origin_) {
    FillOrigin(attestation.folder.get(), context_.clock(), *reply.mutable_origin());
  }
  // A plugin may look at what changes while the process runs, or be away just now.
  reply.set_attest_anew(has_plugins_);
  return reply;
}

void ProbeRole::AttestOnWorker(uint64_t id, Attestation attestation) {
  const uint64_t owner = attestation.credentials.uid;
  attestation.waited = true;
  auto shared = std::make_shared<Attestation>(std::move(attestation));
  const bool accepted = workers_.Run(owner, [this, id, shared, link = link_] {
    context_.loop().Post([this, link, reply = FinishReply(id, *shared)] {
      if (link == link_) {
        Reply(reply);
      }
    });
  });
  if (!accepted) {
    roles::AttestReply reply = Failure(id, ResourceExhausted("too many attestations wait"));
    FillFacts(*shared, reply);
    Reply(reply);
  }
}

void ProbeRole::Reply(const roles::AttestReply& reply) {
  if (serve_ == nullptr) {
    return;
  }
  if (const absl::Status sent = serve_->Send(reply); !sent.ok()) {
    context_.Fail(sent);
  }
}

}  // namespace

int RunProbe(UniqueFd control) {
  absl::StatusOr<std::unique_ptr<RoleContext>> context =
      RoleContext::Create(roles::PROBE, std::move(control));
  if (!context.ok()) {
    log::Error("Role failed", {{"role", "probe"}, {"error", context.status()}});
    return 1;
  }
  ProbeRole role(**context);
  const int status = (*context)->Run(role);
  if (role.has_plugins()) {
    // A plugin may take seconds to answer, and nobody waits for it any more.
    _exit(status);
  }
  return status;
}

}  // namespace assay
