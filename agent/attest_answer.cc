// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/attest_answer.h"

#include <utility>

namespace assay {

absl::Status StatusOf(const roles::AttestReply& reply) {
  return MakeStatus(static_cast<absl::StatusCode>(reply.code()), reply.error());
}

std::vector<Selector> SelectorsOf(roles::AttestReply& reply) {
  std::vector<Selector> selectors;
  selectors.reserve(static_cast<size_t>(reply.selectors_size()));
  for (roles::Selector& selector : *reply.mutable_selectors()) {
    selectors.push_back(
        {std::move(*selector.mutable_type()), std::move(*selector.mutable_value())});
  }
  return Normalized(std::move(selectors));
}

AttestorRuns RunsOf(const roles::AttestReply& reply) {
  AttestorRuns runs;
  for (const roles::AttestorRun& run : reply.runs()) {
    if (runs.size() < kMostRuns) {
      runs.push_back({run.name().substr(0, kMostRunName), absl::Microseconds(run.microseconds()),
                      run.error().substr(0, kMostRunError)});
    }
  }
  return runs;
}

}  // namespace assay
