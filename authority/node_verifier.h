// SPDX-License-Identifier: GPL-3.0-or-later
// A node verifier judges what a node shows of itself: the other side of a node attestor.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authority/node_verifier_options.h"
#include "authority/options.h"
#include "base/status.h"
#include "crypto/certificate.h"
#include "spiffe/selector.h"

namespace assay {

// What a node is, once it is proved.
struct VerifiedNode {
  std::string agent_path;  // Of the agent's SPIFFE ID: "/spire/agent/tpm_devid/...".
  std::vector<Selector> selectors = {};
  bool can_reattest = true;
  // Refused when the node is known already: what it shows proves too little to take its place.
  bool only_once = false;
};

// One attestation. Called by one thread at a time; may take milliseconds.
class NodeVerification {
 public:
  // Either a challenge that the node must answer, or the proved node.
  struct Verdict {
    std::optional<std::string> challenge;
    std::optional<VerifiedNode> node;
  };
  virtual ~NodeVerification() = default;
  virtual absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time now) = 0;
  virtual absl::StatusOr<Verdict> Answer(std::string_view response) = 0;
};

// Thread-safe.
class NodeVerifier {
 public:
  virtual ~NodeVerifier() = default;
  virtual std::unique_ptr<NodeVerification> Start() const = 0;
  // Whether a verification waits for answers of other machines, for seconds.
  virtual bool asks_others() const { return false; }
};

// By the attestors' names. Join tokens are not among them: they are part of the state.
using NodeVerifiers = std::map<std::string, std::unique_ptr<NodeVerifier>, std::less<>>;

// The CA certificates of the file that an option names, at least one.
absl::StatusOr<std::vector<crypto::Certificate>> LoadCas(std::string_view option,
                                                         const std::string& path);

// Those that either options name, with their CA certificates read.
absl::StatusOr<NodeVerifiers> MakeNodeVerifiers(const AuthorityOptions& options,
                                                const NodeVerifierOptions& more);

}  // namespace assay
