// SPDX-License-Identifier: GPL-3.0-or-later
// The unix workload attestor: what the kernel says of any process. Its selectors are the reference
// agent's: uid, user, gid, group, supplementary_gid, supplementary_group, and on request path and
// sha256 of the executable. A process may have file systems of its own, where any path names what
// its owner likes: path is given only when it names the same file for the machine's first process.
// In a user namespace of its own a process can have any executable it likes for its own: then
// neither is given. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "attestors/workload/executable_digest.h"
#include "attestors/workload/name_cache.h"
#include "attestors/workload/workload_attestor.h"
#include "base/clock.h"

namespace assay {

class UnixAttestor final : public WorkloadAttestor {
 public:
  struct Options {
    bool discover_workload_path = false;
    int64_t workload_size_limit = 0;  // Bytes; 0: no limit; below 0: no sha256 at all.
  };

  UnixAttestor(const Clock& clock, const Options& options);

  std::string_view type() const override { return "unix"; }
  absl::StatusOr<std::vector<Selector>> Attest(const Subject& subject) override;
  bool ReadsProcess() const override { return options_.discover_workload_path; }
  bool MayBlock(const Subject& subject) override;

 private:
  absl::Status AddExecutable(const Subject& subject, std::vector<Selector>& selectors);

  const Options options_;
  NameCache users_;
  NameCache groups_;
  ExecutableDigests digests_;
};

}  // namespace assay
