// SPDX-License-Identifier: GPL-3.0-or-later
// Serve's questions to the probe role. They outlive a probe: whatever was not answered when it died
// is asked again of the next. Owned by the serve role's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

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
  // An answer that is an error of the process or of the attestation has its code in the reply; a
  // failed status means that no probe answered in time.
  using Done = std::function<void(const absl::StatusOr<roles::AttestReply>& reply)>;

  struct Caller {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    int pidfd = -1;  // Open until the answer or Cancel.
  };

  ProbeClient(EventLoop& loop, const Clock& clock);
  ~ProbeClient();
  ProbeClient(const ProbeClient&) = delete;
  ProbeClient& operator=(const ProbeClient&) = delete;

  // Takes the channel to a new probe.
  absl::Status Link(UniqueFd channel);

  // Both call back once unless cancelled; the number returned is for that, and never 0.
  uint64_t Attest(const Caller& caller, Done done);
  uint64_t Recheck(const Caller& caller, Done done);
  // done will not be called; unknown numbers are ignored.
  void Cancel(uint64_t id);

 private:
  struct Question {
    Caller caller;
    bool facts_only = false;
    absl::Duration deadline;
    Done done;
  };
  static constexpr absl::Duration kTimeout = absl::Seconds(30);
  static constexpr absl::Duration kSweep = absl::Seconds(5);

  uint64_t Ask(const Caller& caller, bool facts_only, Done done);
  void Send(uint64_t id, const Question& question);
  void OnReply(std::string_view bytes, const UniqueFd& fd);
  void DropLink(const absl::Status& why);
  void Sweep();

  EventLoop& loop_;
  const Clock& clock_;
  std::unique_ptr<Channel> probe_;
  std::map<uint64_t, Question> questions_;  // In the order they were asked.
  uint64_t next_id_ = 1;
  EventLoop::TimerId sweep_timer_ = 0;
};

}  // namespace assay
