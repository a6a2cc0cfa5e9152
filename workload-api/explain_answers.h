// SPDX-License-Identifier: GPL-3.0-or-later
// What Explain says (proto/assay/agent/v1/explain.proto), out of what is known. Text that is no
// UTF-8, as a path may be, is told with its bytes as \xNN.
#pragma once

#include <vector>

#include "spiffe/selector.h"
#include "workload-api/attestor_run.h"
#include "workload-api/entry_search.h"
#include "workload-api/last_refusals.h"

namespace assay {

namespace agent::v1 {
class Explanation;
class Refusal;
}  // namespace agent::v1

// Each attestor with the selectors of its name; those of no attestor that is known come behind.
void FillAttestors(const AttestorRuns& runs, const std::vector<Selector>& selectors,
                   agent::v1::Explanation& explanation);
void FillEntries(const FoundEntries& found, size_t entries_count,
                 agent::v1::Explanation& explanation);
// All but the entries.
void FillRefusal(const Refusal& refusal, agent::v1::Refusal& told);

}  // namespace assay
