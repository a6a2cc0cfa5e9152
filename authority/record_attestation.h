// SPDX-License-Identifier: GPL-3.0-or-later
// What an attestation changes: its node is recorded, the join token that it spent goes, and the
// token's alias gets its entry, all in one transaction. Owned by the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "authority/state.h"

namespace assay {

// A node that has proved itself.
struct AttestedNode {
  Node node;                         // What will be recorded.
  std::vector<SpiffeId> twins = {};  // As VerifiedNode has them.
  bool only_once = false;
  std::string token_digest = {};  // Of the join token that it spends; empty: none.
};

// OK when the join token of this digest may be spent at this moment.
absl::Status CheckJoinToken(const State& state, const std::string& digest);

// OK when the node may attest at this moment, its join token included.
absl::Status CheckAttested(const State& state, const AttestedNode& attested);

// Checks once more, and records. Nothing changes when wanted is false by then; what is on disk
// comes to memory whatever it has become. The state must outlive the change, and done is called
// from the loop.
void RecordAttestation(State& state, const AttestedNode& attested,
                       const std::shared_ptr<const bool>& wanted,
                       std::function<void(const absl::Status&)> done);

}  // namespace assay
