// SPDX-License-Identifier: GPL-3.0-or-later
// join_token node attestation: the node shows a token that the upstream gave out for one use, and
// there is nothing to ask back.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "attestors/node/node_attestor.h"
#include "base/secret.h"
#include "base/status.h"

namespace assay {

class JoinTokenAttestor final : public NodeAttestor {
 public:
  explicit JoinTokenAttestor(Secret token) : token_(std::move(token)) {}

  std::string_view type() const override { return "join_token"; }
  // FailedPrecondition when there is no token.
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  const Secret token_;
};

}  // namespace assay
