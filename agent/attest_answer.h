// SPDX-License-Identifier: GPL-3.0-or-later
// What the probe role's answer to a question about a process says.
#pragma once

#include <vector>

#include "assay/roles.pb.h"
#include "base/status.h"
#include "spiffe/selector.h"
#include "workload-api/attestor_run.h"

namespace assay {

// How the attestation ended.
absl::Status StatusOf(const roles::AttestReply& reply);
// Takes them out of it, normalized.
std::vector<Selector> SelectorsOf(roles::AttestReply& reply);
// No more and no longer than kMostRuns and the like say.
AttestorRuns RunsOf(const roles::AttestReply& reply);

// Of what an answer tells of attestors.
constexpr size_t kMostRuns = 16;
constexpr size_t kMostRunName = 64;
constexpr size_t kMostRunError = 256;

}  // namespace assay
