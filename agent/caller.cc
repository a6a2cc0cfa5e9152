// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/caller.h"

#include <sys/epoll.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "agent/attest_answer.h"
#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

// A check of the facts is good for calls that follow so closely on its beginning.
constexpr absl::Duration kFactsFreshFor = absl::Milliseconds(10);

// Whether it is the same program.
bool SameExecutable(const roles::Facts& a, const roles::Facts& b) {
  return a.executable_device() == b.executable_device() &&
         a.executable_inode() == b.executable_inode();
}

// What serve keeps of one connection's process.
class Caller final : public rpc::PeerState {
 public:
  Caller(const Callers::Context& context, const rpc::ProcessPeer& process)
      : context_(context), process_{process.pid, process.uid, process.gid, process.pidfd.get()} {}
  ~Caller() override;

  // groups: as the socket told them; else those of now.
  void Attest(ProbeClient::Groups groups = std::nullopt);
  void Admit(CallerGate::Admitted admitted);
  void Observe(CallerObserver& observer);
  void Forget(CallerObserver& observer);
  AuditedCaller Audited() const;
  const AttestorRuns& runs() const { return runs_; }

 private:
  struct Waiting {
    CallerGate::Admitted admitted;
    absl::Duration since;
  };

  void Recheck();
  bool IsFresh(absl::Duration at) const { return at - asked_ < kFactsFreshFor; }
  void OnAsked();
  void OnAttested(const absl::StatusOr<roles::AttestReply>& reply);
  void OnRechecked(const absl::StatusOr<roles::AttestReply>& reply);
  absl::Status TakeFacts(const roles::AttestReply& reply);
  void Admit();
  void Refuse(const absl::Status& status);
  void OnGone();
  void EndCalls();

  const Callers::Context context_;
  const ProbeClient::Caller process_;
  uint64_t question_ = 0;                             // That the probe has to answer; 0: none.
  std::optional<roles::Facts> facts_;                 // As they were first seen.
  absl::Duration asked_ = -absl::InfiniteDuration();  // When the last question was.
  absl::Status refused_;                              // For good.
  std::shared_ptr<IdentitySet> identities_;
  roles::Origin origin_;      // Where there is an audit log.
  bool attest_anew_ = false;  // At each call: the selectors may have changed.
  AttestorRuns runs_;         // Of the last attestation.
  std::vector<Waiting> waiting_;
  std::vector<CallerObserver*> observers_;
};

Caller::~Caller() {
  context_.probe.Cancel(question_);
  if (!observers_.empty()) {
    context_.loop.Unwatch(process_.pidfd);
  }
}

void Caller::Attest(ProbeClient::Groups groups) {
  question_ = context_.probe.Attest(process_, std::move(groups),
                                    [this](const auto& reply) { OnAttested(reply); });
  OnAsked();
}

void Caller::Recheck() {
  question_ = context_.probe.Recheck(process_, [this](const auto& reply) { OnRechecked(reply); });
  OnAsked();
}

void Caller::OnAsked() {
  asked_ = context_.clock.SinceBoot();
  if (question_ != 0) {
    return;
  }
  const absl::Status status = Unavailable("too many callers of this user wait to be attested");
  if (!facts_.has_value()) {
    refused_ = status;  // As when the first attestation fails.
  }
  Refuse(status);
}

void Caller::Admit(CallerGate::Admitted admitted) {
  if (!refused_.ok()) {
    admitted(refused_);
    return;
  }
  const absl::Duration now = context_.clock.SinceBoot();
  if (question_ == 0 && identities_ != nullptr && IsFresh(now)) {
    admitted(identities_);
    return;
  }
  waiting_.push_back({std::move(admitted), now});
  if (question_ != 0) {
    return;
  }
  if (identities_ != nullptr && !attest_anew_) {
    Recheck();
  } else {
    Attest();
  }
}

void Caller::OnAttested(const absl::StatusOr<roles::AttestReply>& reply) {
  question_ = 0;
  const absl::Duration elapsed = context_.clock.SinceBoot() - asked_;
  if (!reply.ok()) {
    context_.counts.NoteAttestation(reply.status().code(), elapsed, 0);
    if (!facts_.has_value()) {
      // Who connected was never seen, and who asks later may be another program.
      refused_ = reply.status();
    }
    Refuse(reply.status());
    return;
  }
  roles::AttestReply answer = *reply;
  context_.counts.NoteAttestation(static_cast<absl::StatusCode>(answer.code()), elapsed,
                                  static_cast<size_t>(answer.selectors_size()));
  runs_ = RunsOf(answer);
  if (absl::Status status = TakeFacts(answer); !status.ok()) {
    Refuse(status);
    return;
  }
  attest_anew_ = answer.attest_anew();
  origin_ = answer.origin();
  identities_ = context_.sets.Get(SelectorsOf(answer));
  Admit();
}

void Caller::OnRechecked(const absl::StatusOr<roles::AttestReply>& reply) {
  question_ = 0;
  if (!reply.ok()) {
    Refuse(reply.status());
    return;
  }
  const uint64_t groups = facts_->groups_digest();
  const absl::Status status = TakeFacts(*reply);
  if (!status.ok()) {
    Refuse(status);
  } else if (reply->facts().groups_digest() != groups) {
    // The same program in other groups: its selectors are others now.
    identities_ = nullptr;
    Attest();
  } else {
    Admit();
  }
}

// Holds the reply against what was first seen of the process. Failures that a later call cannot
// mend are remembered.
absl::Status Caller::TakeFacts(const roles::AttestReply& reply) {
  if (reply.has_facts()) {
    if (!facts_.has_value()) {
      facts_ = reply.facts();
    }
    if (!SameExecutable(*facts_, reply.facts())) {
      refused_ = PermissionDenied("the caller executed another program after it connected");
      return refused_;
    }
    facts_->set_groups_digest(reply.facts().groups_digest());
  }
  const absl::Status status = StatusOf(reply);
  if (status.ok()) {
    return reply.has_facts() ? absl::OkStatus() : Internal("the probe role sent no facts");
  }
  if (absl::IsPermissionDenied(status)) {
    refused_ = PermissionDenied("the caller has other credentials than when it connected");
  } else if (absl::IsNotFound(status)) {
    refused_ = Unavailable("the caller has exited");
  } else if (!facts_.has_value()) {
    // Who connected was never seen, and who asks later may be another program.
    refused_ = Unavailable("workload attestation failed");
  }
  log::Debug("Caller was not attested", {{"pid", process_.pid}, {"error", status}});
  return refused_.ok() ? Unavailable("workload attestation failed") : refused_;
}

// Admits who waits. The process may have been looked at before a call that came a while after the
// question: for that one it is looked at again.
void Caller::Admit() {
  std::vector<Waiting> waiting;
  waiting.swap(waiting_);
  std::vector<CallerGate::Admitted> admitted;
  for (Waiting& one : waiting) {
    if (IsFresh(one.since)) {
      admitted.push_back(std::move(one.admitted));
    } else {
      waiting_.push_back(std::move(one));
    }
  }
  const std::shared_ptr<IdentitySet> identities = identities_;
  if (!waiting_.empty()) {
    Recheck();
  }
  for (const CallerGate::Admitted& one : admitted) {
    one(identities);
  }
}

void Caller::Refuse(const absl::Status& status) {
  std::vector<Waiting> waiting;
  waiting.swap(waiting_);
  for (const Waiting& one : waiting) {
    one.admitted(status);
  }
  if (!refused_.ok()) {
    EndCalls();
  }
}

void Caller::Observe(CallerObserver& observer) {
  if (observers_.empty()) {
    const absl::Status watched =
        context_.loop.Watch(process_.pidfd, EPOLLIN, [this](uint32_t) { OnGone(); });
    if (!watched.ok()) {
      log::Error("Caller cannot be watched", {{"pid", process_.pid}, {"error", watched}});
    }
  }
  observers_.push_back(&observer);
}

void Caller::Forget(CallerObserver& observer) {
  if (std::erase(observers_, &observer) > 0 && observers_.empty()) {
    context_.loop.Unwatch(process_.pidfd);
  }
}

AuditedCaller Caller::Audited() const {
  AuditedCaller audited{.start_ticks = origin_.start_ticks(),
                        .started = absl::FromUnixMillis(origin_.started_at_ms()),
                        .cgroup = origin_.cgroup(),
                        .executable_sha256 = {}};
  if (identities_ == nullptr) {
    return audited;
  }
  constexpr std::string_view kDigest = "sha256:";
  for (const Selector& selector : identities_->selectors()) {
    if (selector.type == "unix" && selector.value.starts_with(kDigest)) {
      audited.executable_sha256 = selector.value.substr(kDigest.size());
    }
  }
  return audited;
}

void Caller::OnGone() {
  refused_ = Unavailable("the caller has exited");
  EndCalls();
}

void Caller::EndCalls() {
  // From the end, for an observer forgets itself.
  for (size_t i = observers_.size(); i > 0; --i) {
    observers_[i - 1]->OnCallerGone(refused_);
  }
}

Caller* Of(rpc::Call& call) { return static_cast<Caller*>(call.peer().state.get()); }

}  // namespace

absl::Status Callers::OnConnect(rpc::Peer& peer) {
  if (peer.process.pid_is_weak && !std::exchange(told_weak_, true)) {
    log::Warn("Kernel is older than 6.5: callers are known by number until they are accepted");
  }
  auto caller = std::make_unique<Caller>(context_, peer.process);
  // Needed once; kept, they would cost memory for each connection.
  caller->Attest(std::exchange(peer.process.groups, std::nullopt));
  peer.state = std::move(caller);
  return absl::OkStatus();
}

void Callers::Admit(rpc::Call& call, Admitted admitted) {
  Of(call)->Admit([&call_peer = call.peer(), admitted = std::move(admitted)](auto identities) {
    // A dead process has no identity, though another may hold its socket; and the facts were read
    // by number: they are the process's only if it still lives.
    if (identities.ok() && !call_peer.process.Alive()) {
      identities = Unavailable("the caller has exited");
    }
    admitted(std::move(identities));
  });
}

void Callers::Observe(rpc::Call& call, CallerObserver& observer) { Of(call)->Observe(observer); }

void Callers::Forget(rpc::Call& call, CallerObserver& observer) { Of(call)->Forget(observer); }

AuditedCaller Callers::Audited(rpc::Call& call) { return Of(call)->Audited(); }
AttestorRuns Callers::LastRuns(rpc::Call& call) { return Of(call)->runs(); }

}  // namespace assay
