// SPDX-License-Identifier: GPL-3.0-or-later
// A workload attestor says what is true of a process as selectors of its type. It runs in the probe
// role.
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "base/status.h"
#include "spiffe/selector.h"

namespace assay {

// A process under attestation. Reads go through folder, an O_PATH descriptor of its /proc folder
// opened while the pidfd was alive: of a dead process they fail, they never see another one.
struct Subject {
  pid_t pid = 0;
  int folder = -1;
  int pidfd = -1;  // For work that takes long: it is in vain once this polls readable.
  // Effective. The groups are those it connected with, where its socket told them, else those of
  // now; the first 1,024.
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> supplementary_gids;
};

class WorkloadAttestor {
 public:
  virtual ~WorkloadAttestor() = default;
  // "unix", "systemd", "docker", "k8s".
  virtual std::string_view type() const = 0;
  // The selectors proved; an error fails this attestor alone and is logged by the caller, unless it
  // is Aborted: not tried again yet, after one that was logged. Called on several threads at once.
  virtual absl::StatusOr<std::vector<Selector>> Attest(const Subject& subject) = 0;
  // Whether Attest looks at the process, and not only at what it is given of it. If so, an
  // attestation fails when the process executes another program meanwhile.
  virtual bool ReadsProcess() const = 0;
  // Whether Attest would wait for somebody or read much now. If not, it is called on the role's
  // one event loop, which it must not hold up for more than some microseconds.
  virtual bool MayBlock(const Subject& subject) = 0;
};

}  // namespace assay
