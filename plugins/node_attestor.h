// SPDX-License-Identifier: GPL-3.0-or-later
// A node attestor that is an external plugin: the payload and the answers are the plugin's, and
// carried as they are.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string_view>

#include "attestors/node/node_attestor.h"
#include "base/status.h"
#include "plugins/connection.h"

namespace assay {

class NodeAttestorPlugin final : public NodeAttestor {
 public:
  // For a plugin that is being started; and for an attestation with the upstream's part in it.
  static constexpr absl::Duration kStartTimeout = absl::Minutes(1);
  static constexpr absl::Duration kTimeout = absl::Minutes(2);

  // The connection must outlive it and its attestations.
  explicit NodeAttestorPlugin(PluginConnection& connection, absl::Duration timeout = kTimeout)
      : connection_(connection), timeout_(timeout) {}

  std::string_view type() const override { return connection_.name(); }
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  PluginConnection& connection_;
  const absl::Duration timeout_;
};

}  // namespace assay
