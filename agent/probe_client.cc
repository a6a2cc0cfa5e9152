// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/probe_client.h"

#include <utility>

#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {

ProbeClient::ProbeClient(EventLoop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}

ProbeClient::~ProbeClient() { loop_.Cancel(sweep_timer_); }

absl::Status ProbeClient::Link(UniqueFd channel) {
  ASSIGN_OR_RETURN(probe_, Channel::Create(
                               loop_, std::move(channel),
                               [this](std::string_view bytes, UniqueFd fd) { OnReply(bytes, fd); },
                               [](const absl::Status& why) {
                                 log::Debug("Probe role is gone", {{"error", why}});
                               }));
  for (const auto& [id, question] : questions_) {
    Send(id, question);
  }
  return absl::OkStatus();
}

uint64_t ProbeClient::Attest(const Caller& caller, Done done) {
  return Ask(caller, /*facts_only=*/false, std::move(done));
}

uint64_t ProbeClient::Recheck(const Caller& caller, Done done) {
  return Ask(caller, /*facts_only=*/true, std::move(done));
}

void ProbeClient::Cancel(uint64_t id) { questions_.erase(id); }

uint64_t ProbeClient::Ask(const Caller& caller, bool facts_only, Done done) {
  const uint64_t id = next_id_++;
  const Question& question = questions_
                                 .emplace(id, Question{.caller = caller,
                                                       .facts_only = facts_only,
                                                       .deadline = clock_.SinceBoot() + kTimeout,
                                                       .done = std::move(done)})
                                 .first->second;
  Send(id, question);
  if (sweep_timer_ == 0) {
    sweep_timer_ = loop_.After(kSweep, [this] { Sweep(); });
  }
  return id;
}

void ProbeClient::Send(uint64_t id, const Question& question) {
  if (probe_ == nullptr) {
    return;
  }
  roles::AttestRequest request;
  request.set_id(id);
  request.set_pid(question.caller.pid);
  request.set_uid(question.caller.uid);
  request.set_gid(question.caller.gid);
  request.set_facts_only(question.facts_only);
  const absl::Status sent = probe_->Send(request, question.facts_only ? -1 : question.caller.pidfd);
  if (!sent.ok()) {
    // Out of descriptors: the question times out, and the caller asks again.
    log::Error("Asking the probe role failed", {{"error", sent}});
  }
}

void ProbeClient::OnReply(std::string_view bytes, const UniqueFd& fd) {
  absl::StatusOr<roles::AttestReply> reply{roles::AttestReply()};
  absl::Status permitted = CheckPermitted(roles::PROBE, roles::SERVE, kWholeMessage);
  if (permitted.ok() &&
      (fd.valid() || !reply->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))) {
    permitted = InvalidArgument("an answer that does not parse, or with a descriptor");
  }
  if (!permitted.ok()) {
    DropLink(permitted);
    return;
  }
  const auto found = questions_.find(reply->id());
  if (found == questions_.end()) {
    return;  // Its caller has gone.
  }
  const Done done = std::move(found->second.done);
  questions_.erase(found);
  done(reply);
}

void ProbeClient::DropLink(const absl::Status& why) {
  log::Error("Probe role broke the rules", {{"error", why}});
  // Not here, inside a call of the channel. A probe without its channel can do no harm.
  loop_.Post([this, dropped = probe_.get()] {
    if (probe_.get() == dropped) {
      probe_.reset();
    }
  });
}

void ProbeClient::Sweep() {
  sweep_timer_ = 0;
  const absl::Duration now = clock_.SinceBoot();
  // They time out in the order they were asked.
  while (!questions_.empty() && questions_.begin()->second.deadline <= now) {
    const Done done = std::move(questions_.begin()->second.done);
    questions_.erase(questions_.begin());
    done(Unavailable("workload attestation took too long"));
  }
  if (!questions_.empty() && sweep_timer_ == 0) {
    sweep_timer_ = loop_.After(kSweep, [this] { Sweep(); });
  }
}

}  // namespace assay
