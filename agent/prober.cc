// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/prober.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "base/log.h"

namespace assay {
namespace {

// A pidfd becomes readable when its process ends, also before it is reaped.
bool Alive(int pidfd) {
  pollfd poll_pidfd{.fd = pidfd, .events = POLLIN, .revents = 0};
  return poll(&poll_pidfd, 1, 0) == 0;
}

absl::Status CheckCredentials(const ProcessCredentials& credentials, const Prober::Claim& claim) {
  if (credentials.uid != claim.uid || credentials.gid != claim.gid) {
    return PermissionDenied("process {} connected as {}:{} and is {}:{} now", claim.pid, claim.uid,
                            claim.gid, credentials.uid, credentials.gid);
  }
  return absl::OkStatus();
}

// A process that may not be seen is told from one that is gone by its pidfd alone.
absl::Status Gone(pid_t pid) { return NotFound("process {} is gone", pid); }

}  // namespace

Prober::Prober(std::vector<std::unique_ptr<WorkloadAttestor>> attestors)
    : proc_(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)), attestors_(std::move(attestors)) {}

absl::StatusOr<Attestation> Prober::Begin(const Claim& claim, UniqueFd pidfd) const {
  if (claim.pid <= 0 || !pidfd.valid()) {
    return InvalidArgument("no process {} to attest", claim.pid);
  }
  Attestation found;
  found.pid = claim.pid;
  found.pidfd = std::move(pidfd);
  found.folder.Reset(
      openat(proc_.get(), std::to_string(claim.pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  // Alive after the open: so the folder is that process's, and stays so.
  if (!found.folder.valid() || !Alive(found.pidfd.get())) {
    return Gone(claim.pid);
  }
  ASSIGN_OR_RETURN(found.credentials, ReadCredentials(found.folder.get(), "status"));
  RETURN_IF_ERROR(CheckCredentials(found.credentials, claim));
  ASSIGN_OR_RETURN(found.start_time, ReadStartTime(found.folder.get(), "stat"));
  found.executable = ReadExecutable(found.folder.get(), "exe");
  return found;
}

absl::StatusOr<Attestation> Prober::Recheck(const Claim& claim) const {
  if (claim.pid <= 0) {
    return InvalidArgument("no process {} to check", claim.pid);
  }
  const std::string folder = std::to_string(claim.pid);
  Attestation found;
  found.pid = claim.pid;
  ASSIGN_OR_RETURN(found.credentials, ReadCredentials(proc_.get(), folder + "/status"));
  RETURN_IF_ERROR(CheckCredentials(found.credentials, claim));
  found.executable = ReadExecutable(proc_.get(), folder + "/exe");
  return found;
}

bool Prober::MayBlock(const Attestation& attestation) const {
  const Subject subject = SubjectOf(attestation);
  return std::any_of(attestors_.begin(), attestors_.end(),
                     [&](const auto& attestor) { return attestor->MayBlock(subject); });
}

absl::Status Prober::Finish(Attestation& attestation) const {
  const Subject subject = SubjectOf(attestation);
  size_t failed = 0;
  for (const auto& attestor : attestors_) {
    absl::StatusOr<std::vector<Selector>> selectors = attestor->Attest(subject);
    if (!selectors.ok()) {
      ++failed;
      // Of a process that has just died every attestor fails, and nobody needs to know.
      if (Alive(attestation.pidfd.get())) {
        log::Error("Failed to collect all selectors for PID", {{"attestor", attestor->type()},
                                                               {"error", selectors.status()},
                                                               {"pid", attestation.pid}});
      }
      continue;
    }
    std::move(selectors->begin(), selectors->end(), std::back_inserter(attestation.selectors));
  }
  // It may have executed another program while the attestors read: then they saw a mixture.
  const ExecutableFile now = ReadExecutable(attestation.folder.get(), "exe");
  if (!Alive(attestation.pidfd.get())) {
    return Gone(attestation.pid);
  }
  if (now.device != attestation.executable.device || now.inode != attestation.executable.inode) {
    return Unavailable("process {} executed another program while it was attested",
                       attestation.pid);
  }
  if (failed > 0 && failed == attestors_.size()) {
    return Unavailable("workload attestation failed");
  }
  return absl::OkStatus();
}

Subject Prober::SubjectOf(const Attestation& attestation) const {
  return {.pid = attestation.pid,
          .folder = attestation.folder.get(),
          .uid = attestation.credentials.uid,
          .gid = attestation.credentials.gid,
          .supplementary_gids = attestation.credentials.groups};
}

}  // namespace assay
