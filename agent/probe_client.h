// SPDX-License-Identifier: GPL-3.0-or-later
// Serve's questions to the probe role. Few are with the probe at a time and the others wait here,
// by turns of their users, so that one user's callers cannot hold up those of another. They outlive
// a probe: what was not answered when it died is asked again of the next. Owned by the serve role's
// thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/sandbox/channel.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

namespace roles {
class AttestReply;
class AttestRequest;
}  // namespace roles

class ProbeClient final {
 public:
  // Of each kind of question: with the probe at a time, of these of one user, and in all of one
  // user. More are refused.
  static constexpr size_t kMaxAsked = 128;
  static constexpr size_t kMaxAskedOfUser = 16;
  static constexpr size_t kMaxOfUser = 16384;

  // Supplementary ones, as the socket told them; nullopt: those that the process has now.
  using Groups = std::optional<std::vector<gid_t>>;
  // An answer that is an error of the process or of the attestation has its code in the reply; a
  // failed status means that no probe answered in time.
  using Done = std::function<void(const absl::StatusOr<roles::AttestReply>& reply)>;
  // The channel has ended, as Channel::OnClosed says it.
  using OnEnded = std::function<void(const absl::Status& why)>;

  struct Caller {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    int pidfd = -1;  // Open until the answer or Cancel.
    // Uid is whose turn it is alone: whose the process is nobody says. Not to be rechecked.
    bool any_owner = false;
  };

  ProbeClient(EventLoop& loop, const Clock& clock, OnEnded on_ended);
  ~ProbeClient();
  ProbeClient(const ProbeClient&) = delete;
  ProbeClient& operator=(const ProbeClient&) = delete;

  // Takes the channel to a new probe.
  absl::Status Link(UniqueFd channel);

  // Both call back once, later, unless cancelled; the number returned is for that. 0: too many wait
  // for this user, and done is not called.
  uint64_t Attest(const Caller& caller, Groups groups, Done done);
  uint64_t Recheck(const Caller& caller, Done done);
  // done will not be called; unknown numbers are ignored.
  void Cancel(uint64_t id);

 private:
  // A full attestation may take a while, and must not keep a check of facts waiting.
  enum Kind : size_t { kAttest, kRecheck, kKinds };
  struct Question {
    Caller caller;
    Kind kind = kAttest;
    Groups groups;
    absl::Duration deadline;
    bool asked = false;
    Done done;
  };
  struct User {
    std::deque<uint64_t> waiting;  // Cancelled ones too, until it is their turn.
    size_t asked = 0;
    size_t questions = 0;
    bool in_turn = false;
  };
  struct Lane {
    std::unordered_map<uid_t, User> users;
    std::deque<uid_t> turns;  // Users with questions that wait and may be asked.
    size_t asked = 0;
  };
  // What the probe works on, also when nobody waits for it any more.
  struct Asked {
    uid_t uid;
    Kind kind;
  };
  static constexpr absl::Duration kTimeout = absl::Seconds(30);
  static constexpr absl::Duration kSweep = absl::Seconds(5);

  uint64_t Ask(const Caller& caller, Kind kind, Groups groups, Done done);
  void TakeTurn(Lane& lane, uid_t uid);
  void SendWaiting(Lane& lane);
  bool Send(uint64_t id, const Question& question);
  void Answered(uint64_t id);
  Done Remove(std::map<uint64_t, Question>::iterator question);
  void ForgetIfIdle(Lane& lane, uid_t uid);
  void OnReply(std::string_view bytes, const UniqueFd& fd);
  void DropLink();
  void Sweep();

  EventLoop& loop_;
  const Clock& clock_;
  const OnEnded on_ended_;
  std::unique_ptr<Channel> probe_;
  std::map<uint64_t, Question> questions_;  // In the order they came.
  std::unordered_map<uint64_t, Asked> asked_;
  std::array<Lane, kKinds> lanes_;
  uint64_t next_id_ = 1;
  EventLoop::TimerId sweep_timer_ = 0;
};

}  // namespace assay
