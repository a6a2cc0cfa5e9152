// SPDX-License-Identifier: GPL-3.0-or-later
// Attests one process by its pidfd: that it lives, that it has the credentials its socket told,
// what pins it, and the selectors that the attestors prove. Begin, and what may block, may run on
// different threads. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/process_facts.h"
#include "attestors/workload/workload_attestor.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "spiffe/selector.h"
#include "workload-api/attestor_run.h"

namespace assay {

// A process under attestation, and what was found so far.
struct Attestation {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd folder;  // O_PATH of /proc/PID, opened before the pidfd was seen alive.
  ProcessCredentials credentials;
  ExecutableFile executable;
  bool waited = false;  // Finish runs some time after Begin.
  std::vector<Selector> selectors;
  AttestorRuns runs;
};

class Prober final {
 public:
  // Of the selectors of one process in all, each with kSelectorOverhead besides its text.
  static constexpr size_t kMaxSelectorBytes = 120 << 10;
  static constexpr size_t kSelectorOverhead = 16;

  // The credentials that a caller's socket was connected with.
  struct Claim {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    // Its supplementary groups then; nullopt: those of now are wanted.
    std::optional<std::vector<gid_t>> groups = std::nullopt;
    // A process that was referred to: whose it is nobody says, and uid and gid mean nothing.
    bool any_owner = false;
  };

  // The clock, which must outlive it, says how long each attestor takes.
  Prober(std::vector<std::unique_ptr<WorkloadAttestor>> attestors, const Clock& clock);

  // Reads what pins the process, and its groups unless they are claimed. NotFound when it is gone,
  // PermissionDenied when its credentials are not the claimed ones.
  absl::StatusOr<Attestation> Begin(const Claim& claim, UniqueFd pidfd) const;
  // Whether Finish would wait or read much.
  bool MayBlock(const Attestation& attestation) const;
  // Fills in the selectors, and, whatever comes of it, how the attestors did. An attestor that
  // fails is logged and skipped; so is, as long as there are too many in all, the one that found
  // most. NotFound when the process died meanwhile; Unavailable when all fail, or when it is
  // another program by now, or has other credentials, and an attestor has read it or waited.
  absl::Status Finish(Attestation& attestation) const;

  // What may change while the process lives, by its number: the asker holds its pidfd and must see
  // it alive after the answer. Errors as Begin's.
  absl::StatusOr<Attestation> Recheck(const Claim& claim) const;

 private:
  absl::Status CheckClaim(const Claim& claim, const ProcessCredentials& credentials) const;
  ExecutableFile LookAtExecutable(const Claim& claim, int folder, const std::string& path) const;
  struct Findings {
    const WorkloadAttestor* attestor;
    size_t run;  // Its place among the attestation's.
    std::vector<Selector> selectors;
    size_t bytes;
  };
  std::vector<Findings> Ask(Attestation& attestation) const;
  absl::Status CheckUnchanged(const Attestation& attestation) const;
  Subject SubjectOf(const Attestation& attestation) const;

  const UniqueFd proc_;
  const std::vector<std::unique_ptr<WorkloadAttestor>> attestors_;
  const Clock& clock_;
  const bool reads_processes_;  // An attestor does.
  const bool sees_all_users_;   // Every user of the machine has a number here.
  mutable std::atomic<bool> told_groups_ = false;
  mutable std::atomic<bool> told_hidden_ = false;
};

}  // namespace assay
