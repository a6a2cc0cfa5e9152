// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/prober.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "base/files.h"
#include "base/log.h"
#include "base/printable.h"

namespace assay {
namespace {

// A pidfd becomes readable when its process ends, also before it is reaped.
bool Alive(int pidfd) {
  pollfd poll_pidfd{.fd = pidfd, .events = POLLIN, .revents = 0};
  return poll(&poll_pidfd, 1, 0) == 0;
}

// In a user namespace of its own a process sees all users that have no number there as this one.
constexpr id_t kOverflowId = 65534;
constexpr std::string_view kAllIds = "4294967295";

bool SeesAllUsers() {
  for (const char* map : {"/proc/self/uid_map", "/proc/self/gid_map"}) {
    const absl::StatusOr<std::string> text = ReadFile(map);
    if (text.ok() && text->find(kAllIds) == text->npos) {
      return false;
    }
  }
  return true;
}

// A process that may not be seen is told from one that is gone by its pidfd alone.
absl::Status Gone(pid_t pid) { return NotFound("process {} is gone", pid); }

void LogFailure(const WorkloadAttestor& attestor, const absl::Status& why, pid_t pid) {
  log::Error("Failed to collect all selectors for PID",
             {{"attestor", attestor.type()}, {"error", why}, {"pid", pid}});
}

size_t BytesOf(const std::vector<Selector>& selectors) {
  size_t bytes = 0;
  for (const Selector& selector : selectors) {
    bytes += selector.type.size() + selector.value.size() + Prober::kSelectorOverhead;
  }
  return bytes;
}

}  // namespace

Prober::Prober(std::vector<std::unique_ptr<WorkloadAttestor>> attestors, const Clock& clock)
    : proc_(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)),
      attestors_(std::move(attestors)),
      clock_(clock),
      reads_processes_(std::any_of(attestors_.begin(), attestors_.end(),
                                   [](const auto& attestor) { return attestor->ReadsProcess(); })),
      sees_all_users_(SeesAllUsers()) {}

absl::StatusOr<Attestation> Prober::Begin(const Claim& claim, UniqueFd pidfd) const {
  if (claim.pid <= 0) {
    return InvalidArgument("no process {} to attest", claim.pid);
  }
  if (!pidfd.valid()) {
    return ResourceExhausted("out of descriptors: the one of process {} did not come", claim.pid);
  }
  Attestation found;
  found.pid = claim.pid;
  found.pidfd = std::move(pidfd);
  found.folder.Reset(
      openat(proc_.get(), std::to_string(claim.pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const int error = found.folder.valid() ? 0 : errno;
  // Alive after the open: so the folder is that process's, and stays so.
  if (error == ENOENT || error == ESRCH || !Alive(found.pidfd.get())) {
    return Gone(claim.pid);
  }
  if (error != 0) {
    return ErrnoStatus(error, fmt::format("opening the folder of process {}", claim.pid));
  }
  if (claim.groups.has_value()) {
    ASSIGN_OR_RETURN(found.credentials, ReadOwner(found.folder.get()));
    found.credentials.groups = *claim.groups;
  } else {
    ASSIGN_OR_RETURN(found.credentials, ReadCredentials(found.folder.get(), "status"));
  }
  if (absl::Status status = CheckClaim(claim, found.credentials); !status.ok()) {
    // The folder of a process that has just died is root's.
    return Alive(found.pidfd.get()) ? status : Gone(claim.pid);
  }
  found.executable = LookAtExecutable(claim, found.folder.get(), "exe");
  return found;
}

absl::StatusOr<Attestation> Prober::Recheck(const Claim& claim) const {
  if (claim.pid <= 0) {
    return InvalidArgument("no process {} to check", claim.pid);
  }
  Attestation found;
  found.pid = claim.pid;
  const std::string folder = std::to_string(claim.pid);
  ASSIGN_OR_RETURN(found.credentials, ReadCredentials(proc_.get(), folder + "/status"));
  RETURN_IF_ERROR(CheckClaim(claim, found.credentials));
  found.executable = LookAtExecutable(claim, proc_.get(), folder + "/exe");
  return found;
}

absl::Status Prober::CheckClaim(const Claim& claim, const ProcessCredentials& credentials) const {
  const uid_t uid = claim.any_owner ? credentials.uid : claim.uid;
  const gid_t gid = claim.any_owner ? credentials.gid : claim.gid;
  if (!sees_all_users_ && (uid == kOverflowId || gid == kOverflowId)) {
    return PermissionDenied("process {} is of a user that has no number in this namespace",
                            claim.pid);
  }
  if (credentials.uid != uid || credentials.gid != gid) {
    return PermissionDenied("process {} connected as {}:{} and is {}:{} now", claim.pid, claim.uid,
                            claim.gid, credentials.uid, credentials.gid);
  }
  if (credentials.has_more_groups && !told_groups_.exchange(true)) {
    log::Warn("Process has more groups than are looked at",
              {{"pid", claim.pid}, {"looked_at", ProcessCredentials::kMaxGroups}});
  }
  return absl::OkStatus();
}

ExecutableFile Prober::LookAtExecutable(const Claim& claim, int folder,
                                        const std::string& path) const {
  ExecutableFile executable = ReadExecutable(folder, path);
  if (executable.hidden && !told_hidden_.exchange(true)) {
    log::Warn(
        "Executables of other users cannot be seen: that one executes another program between "
        "calls is not noticed (start the agent as root, in a container with CAP_SYS_PTRACE)",
        {{"pid", claim.pid}});
  }
  return executable;
}

bool Prober::MayBlock(const Attestation& attestation) const {
  const Subject subject = SubjectOf(attestation);
  return std::any_of(attestors_.begin(), attestors_.end(),
                     [&](const auto& attestor) { return attestor->MayBlock(subject); });
}

// What the attestors found that do not fail.
std::vector<Prober::Findings> Prober::Ask(Attestation& attestation) const {
  const Subject subject = SubjectOf(attestation);
  std::vector<Findings> all;
  for (const auto& attestor : attestors_) {
    const absl::Duration begun = clock_.SinceBoot();
    absl::StatusOr<std::vector<Selector>> selectors = attestor->Attest(subject);
    const size_t run = attestation.runs.size();
    attestation.runs.push_back({std::string(attestor->type()), clock_.SinceBoot() - begun,
                                Printable(Message(selectors.status()))});
    if (selectors.ok()) {
      const size_t bytes = BytesOf(*selectors);
      all.push_back({attestor.get(), run, *std::move(selectors), bytes});
    } else if (!absl::IsAborted(selectors.status()) && Alive(attestation.pidfd.get())) {
      // Of a process that has just died every attestor fails, and nobody needs to know.
      LogFailure(*attestor, selectors.status(), attestation.pid);
    }
  }
  return all;
}

absl::Status Prober::Finish(Attestation& attestation) const {
  std::vector<Findings> all = Ask(attestation);
  size_t bytes = 0;
  for (const Findings& findings : all) {
    bytes += findings.bytes;
  }
  while (bytes > kMaxSelectorBytes) {
    const auto most = std::max_element(
        all.begin(), all.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    const absl::Status why = ResourceExhausted("{} selectors of {} bytes are more than are taken",
                                               most->selectors.size(), most->bytes);
    LogFailure(*most->attestor, why, attestation.pid);
    attestation.runs[most->run].error = Message(why);
    bytes -= most->bytes;
    all.erase(most);
  }
  for (Findings& findings : all) {
    std::move(findings.selectors.begin(), findings.selectors.end(),
              std::back_inserter(attestation.selectors));
  }
  RETURN_IF_ERROR(CheckUnchanged(attestation));
  if (all.empty() && !attestors_.empty()) {
    return Unavailable("workload attestation failed");
  }
  return absl::OkStatus();
}

// What was read while the process executed another program, or took another user's rights by that,
// is a mixture.
absl::Status Prober::CheckUnchanged(const Attestation& attestation) const {
  ExecutableFile executable = attestation.executable;
  ProcessCredentials owner = attestation.credentials;
  if (reads_processes_ || attestation.waited) {
    executable = ReadExecutable(attestation.folder.get(), "exe");
    ASSIGN_OR_RETURN(owner, ReadOwner(attestation.folder.get()));
  }
  if (!Alive(attestation.pidfd.get())) {
    return Gone(attestation.pid);
  }
  if (executable.device != attestation.executable.device ||
      executable.inode != attestation.executable.inode ||
      owner.uid != attestation.credentials.uid || owner.gid != attestation.credentials.gid) {
    return Unavailable("process {} executed another program while it was attested",
                       attestation.pid);
  }
  return absl::OkStatus();
}

Subject Prober::SubjectOf(const Attestation& attestation) const {
  return {.pid = attestation.pid,
          .folder = attestation.folder.get(),
          .pidfd = attestation.pidfd.get(),
          .uid = attestation.credentials.uid,
          .gid = attestation.credentials.gid,
          .supplementary_gids = attestation.credentials.groups};
}

}  // namespace assay
