// SPDX-License-Identifier: GPL-3.0-or-later
// How a workload attestor did with one process: told to operators who want to know why a process
// has no identity. What it found are the process's selectors of its name.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

namespace assay {

struct AttestorRun {
  std::string name;
  absl::Duration took;
  std::string error;  // Printable; empty: it did not fail.
  bool operator==(const AttestorRun&) const = default;
};

// Of one attestation, in the order they were made.
using AttestorRuns = std::vector<AttestorRun>;

}  // namespace assay
