// SPDX-License-Identifier: GPL-3.0-or-later
// A node verifier judges what a node shows of itself: the other side of a node attestor.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "spiffe/selector.h"

namespace assay {

// What a node is, once it is proved.
struct VerifiedNode {
  std::string agent_path;  // Of the agent's SPIFFE ID: "/spire/agent/tpm_devid/...".
  std::vector<Selector> selectors = {};
  bool can_reattest = true;
  // The paths that the same proof, changed as anybody can change it (crypto/signature_twins.h),
  // would give: refused when a node is known under one of them, be it banned.
  std::vector<std::string> twin_paths = {};
  // Refused when the node is known already: what it shows proves too little to take its place.
  bool only_once = false;
};

// One attestation. Called by one thread at a time; may take milliseconds, or seconds where it says
// that it asks another machine.
class NodeVerification {
 public:
  // Either a challenge that the node must answer, or the proved node.
  struct Verdict {
    std::optional<std::string> challenge;
    std::optional<VerifiedNode> node;
    std::string asks = {};  // With a challenge: the machine that Answer will ask; empty: none.
  };
  virtual ~NodeVerification() = default;
  virtual absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time now) = 0;
  virtual absl::StatusOr<Verdict> Answer(std::string_view response) = 0;
  // Nobody waits for the attestation any more: what asks another machine ends soon, or does not
  // begin. By any thread, beside the others.
  virtual void Cancel() {}
};

// Thread-safe.
class NodeVerifier {
 public:
  virtual ~NodeVerifier() = default;
  virtual std::unique_ptr<NodeVerification> Start() const = 0;
};

// The verifier of verifications that are made from shared rules: Verification(shared_ptr<const
// Rules>).
template <typename Verification, typename Rules>
std::unique_ptr<NodeVerifier> MakeVerifierOf(Rules rules) {
  class Verifier final : public NodeVerifier {
   public:
    explicit Verifier(Rules own) : rules_(std::make_shared<const Rules>(std::move(own))) {}
    std::unique_ptr<NodeVerification> Start() const override {
      return std::make_unique<Verification>(rules_);
    }

   private:
    const std::shared_ptr<const Rules> rules_;
  };
  return std::make_unique<Verifier>(std::move(rules));
}

}  // namespace assay
