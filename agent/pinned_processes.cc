// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/pinned_processes.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "agent/attest_answer.h"
#include "assay/roles.pb.h"
#include "base/unique_fd.h"

namespace assay {
namespace {

class PinnedProcess final : public ReferredProcess {
 public:
  struct Parts {
    EventLoop& loop;
    ProbeClient& probe;
    size_t& open;  // Counts those that there are.
  };
  PinnedProcess(const Parts& parts, const ProbeClient::Caller& process, UniqueFd pidfd)
      : loop_(parts.loop),
        probe_(parts.probe),
        open_(parts.open),
        process_(process),
        pidfd_(std::move(pidfd)) {
    ++open_;
  }
  ~PinnedProcess() override {
    --open_;
    probe_.Cancel(question_);
    loop_.Unwatch(pidfd_.get());
  }

  // Calls back once when it ends.
  absl::Status Watch(std::function<void()> ended) {
    return loop_.Watch(pidfd_.get(), EPOLLIN, [this, ended = std::move(ended)](uint32_t) {
      const auto tell = ended;  // This may go in the call.
      loop_.Unwatch(pidfd_.get());
      tell();
    });
  }
  void Attest(Attested attested) override;
  AttestorRuns LastRuns() const override { return runs_; }

 private:
  void OnAnswer(const absl::StatusOr<roles::AttestReply>& reply, const Attested& attested);
  bool Alive() const {
    pollfd poll_pidfd{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    return poll(&poll_pidfd, 1, 0) == 0;
  }

  EventLoop& loop_;
  ProbeClient& probe_;
  size_t& open_;
  const ProbeClient::Caller process_;
  const UniqueFd pidfd_;
  uint64_t question_ = 0;  // That the probe has to answer; 0: none.
  AttestorRuns runs_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

void PinnedProcess::Attest(Attested attested) {
  question_ = probe_.Attest(process_, std::nullopt,
                            [this, attested](const auto& reply) { OnAnswer(reply, attested); });
  if (question_ == 0) {
    loop_.Post([weak = std::weak_ptr<bool>(alive_), attested = std::move(attested)] {
      if (weak.lock() != nullptr) {
        attested(Unavailable("too many processes wait to be attested for this user"));
      }
    });
  }
}

void PinnedProcess::OnAnswer(const absl::StatusOr<roles::AttestReply>& reply,
                             const Attested& attested) {
  question_ = 0;
  const Attested tell = attested;  // This may go in the call.
  runs_ = reply.ok() ? RunsOf(*reply) : AttestorRuns();
  const absl::Status status = reply.ok() ? StatusOf(*reply) : reply.status();
  if (!Alive() || absl::IsNotFound(status)) {
    tell(NotFound("process {} has ended", process_.pid));
  } else if (!status.ok()) {
    tell(Unavailable("{}", Message(status)));
  } else {
    roles::AttestReply answer = *reply;
    tell(SelectorsOf(answer));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReferredProcess>> PinnedProcesses::Open(
    pid_t pid, uid_t asker, std::function<void()> ended) {
  if (open_ >= most_) {
    return ResourceExhausted("delegates refer to {} processes, which are all that they may", open_);
  }
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) {
    return errno == ESRCH || errno == EINVAL
               ? NotFound("there is no process {}", pid)
               : ErrnoStatus(errno, fmt::format("opening process {}", pid));
  }
  const ProbeClient::Caller process{
      .pid = pid, .uid = asker, .gid = 0, .pidfd = pidfd.get(), .any_owner = true};
  auto pinned = std::make_unique<PinnedProcess>(PinnedProcess::Parts{loop_, probe_, open_}, process,
                                                std::move(pidfd));
  RETURN_IF_ERROR(pinned->Watch(std::move(ended)));
  return pinned;
}

}  // namespace assay
