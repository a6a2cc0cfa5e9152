// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/probe_client.h"

#include <utility>

#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {

ProbeClient::ProbeClient(EventLoop& loop, const Clock& clock, OnEnded on_ended)
    : loop_(loop), clock_(clock), on_ended_(std::move(on_ended)) {}

ProbeClient::~ProbeClient() { loop_.Cancel(sweep_timer_); }

absl::Status ProbeClient::Link(UniqueFd channel) {
  ASSIGN_OR_RETURN(
      probe_, Channel::Create(
                  loop_, std::move(channel),
                  [this](std::string_view bytes, UniqueFd fd) { OnReply(bytes, fd); }, on_ended_));
  // The new one knows of nothing: all is asked in the order it came.
  asked_.clear();
  lanes_ = {};
  for (auto& [id, question] : questions_) {
    question.asked = false;
    User& user = lanes_[question.kind].users[question.caller.uid];
    user.waiting.push_back(id);
    ++user.questions;
    TakeTurn(lanes_[question.kind], question.caller.uid);
  }
  for (Lane& lane : lanes_) {
    SendWaiting(lane);
  }
  return absl::OkStatus();
}

uint64_t ProbeClient::Attest(const Caller& caller, Groups groups, Done done) {
  return Ask(caller, kAttest, std::move(groups), std::move(done));
}

uint64_t ProbeClient::Recheck(const Caller& caller, Done done) {
  return Ask(caller, kRecheck, std::nullopt, std::move(done));
}

void ProbeClient::Cancel(uint64_t id) {
  if (const auto found = questions_.find(id); found != questions_.end()) {
    Remove(found);
  }
}

uint64_t ProbeClient::Ask(const Caller& caller, Kind kind, Groups groups, Done done) {
  Lane& lane = lanes_[kind];
  User& user = lane.users[caller.uid];
  // Those that were cancelled and wait for their turn to be forgotten count too.
  if (user.questions >= kMaxOfUser || user.waiting.size() >= 2 * kMaxOfUser) {
    return 0;
  }
  const uint64_t id = next_id_++;
  questions_.emplace(id, Question{.caller = caller,
                                  .kind = kind,
                                  .groups = std::move(groups),
                                  .deadline = clock_.SinceBoot() + kTimeout,
                                  .asked = false,
                                  .done = std::move(done)});
  user.waiting.push_back(id);
  ++user.questions;
  TakeTurn(lane, caller.uid);
  SendWaiting(lane);
  if (sweep_timer_ == 0) {
    sweep_timer_ = loop_.After(kSweep, [this] { Sweep(); });
  }
  return id;
}

void ProbeClient::TakeTurn(Lane& lane, uid_t uid) {
  User& user = lane.users[uid];
  if (!user.in_turn && !user.waiting.empty() && user.asked < kMaxAskedOfUser) {
    user.in_turn = true;
    lane.turns.push_back(uid);
  }
}

void ProbeClient::SendWaiting(Lane& lane) {
  while (probe_ != nullptr && lane.asked < kMaxAsked && !lane.turns.empty()) {
    const uid_t uid = lane.turns.front();
    lane.turns.pop_front();
    User& user = lane.users[uid];
    user.in_turn = false;
    const uint64_t id = user.waiting.front();
    user.waiting.pop_front();
    const auto found = questions_.find(id);
    if (found != questions_.end() && Send(id, found->second)) {
      found->second.asked = true;
      asked_[id] = {uid, found->second.kind};
      ++user.asked;
      ++lane.asked;
    }
    TakeTurn(lane, uid);
    ForgetIfIdle(lane, uid);
  }
}

bool ProbeClient::Send(uint64_t id, const Question& question) {
  roles::AttestRequest request;
  request.set_id(id);
  request.set_pid(question.caller.pid);
  if (question.caller.any_owner) {
    request.set_any_owner(true);
  } else {
    request.set_uid(question.caller.uid);
    request.set_gid(question.caller.gid);
  }
  request.set_facts_only(question.kind == kRecheck);
  if (question.groups.has_value()) {
    request.mutable_groups()->mutable_gids()->Add(question.groups->begin(), question.groups->end());
  }
  const absl::Status sent =
      probe_->Send(request, question.kind == kRecheck ? -1 : question.caller.pidfd);
  if (!sent.ok()) {
    // Out of descriptors: the question times out, and the caller asks again.
    log::Error("Asking the probe role failed", {{"error", sent}});
  }
  return sent.ok();
}

// The probe is done with it, whether or not somebody still wants to know.
void ProbeClient::Answered(uint64_t id) {
  const auto asked = asked_.find(id);
  if (asked == asked_.end()) {
    return;
  }
  const uid_t uid = asked->second.uid;
  Lane& lane = lanes_[asked->second.kind];
  asked_.erase(asked);
  --lane.asked;
  --lane.users[uid].asked;
  TakeTurn(lane, uid);
  ForgetIfIdle(lane, uid);
  SendWaiting(lane);
}

ProbeClient::Done ProbeClient::Remove(std::map<uint64_t, Question>::iterator question) {
  Lane& lane = lanes_[question->second.kind];
  const uid_t uid = question->second.caller.uid;
  Done done = std::move(question->second.done);
  questions_.erase(question);
  --lane.users[uid].questions;
  ForgetIfIdle(lane, uid);
  return done;
}

void ProbeClient::ForgetIfIdle(Lane& lane, uid_t uid) {
  const auto user = lane.users.find(uid);
  if (user != lane.users.end() && user->second.questions == 0 && user->second.asked == 0 &&
      user->second.waiting.empty()) {
    lane.users.erase(user);
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
    DropLink();
    on_ended_(permitted);
    return;
  }
  // Before the caller is told, who may go and take his question with him.
  const auto found = questions_.find(reply->id());
  const Done done = found == questions_.end() || !found->second.asked ? nullptr : Remove(found);
  Answered(reply->id());
  if (done != nullptr) {
    done(reply);
  }
}

void ProbeClient::DropLink() {
  // Not here, inside a call of the channel.
  loop_.Post([this, dropped = probe_.get()] {
    if (probe_.get() == dropped) {
      probe_.reset();
    }
  });
}

void ProbeClient::Sweep() {
  sweep_timer_ = 0;
  const absl::Duration now = clock_.SinceBoot();
  // They time out in the order they came.
  while (!questions_.empty() && questions_.begin()->second.deadline <= now) {
    const Done done = Remove(questions_.begin());
    done(Unavailable("workload attestation took too long"));
  }
  if (!questions_.empty() && sweep_timer_ == 0) {
    sweep_timer_ = loop_.After(kSweep, [this] { Sweep(); });
  }
}

}  // namespace assay
