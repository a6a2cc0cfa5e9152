// SPDX-License-Identifier: GPL-3.0-or-later
// A workload attestor that is an external plugin: it is told a process's number, and says values of
// selectors whose type is its name. Thread-safe.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string_view>
#include <vector>

#include "attestors/workload/workload_attestor.h"
#include "plugins/connection.h"

namespace assay {

class WorkloadAttestorPlugin final : public WorkloadAttestor {
 public:
  // For one attestation in all, of which at most half to wait for a plugin that is being started.
  // Many a caller gives up after 5 s: by then it has what the other attestors found.
  static constexpr absl::Duration kTimeout = absl::Seconds(4);
  static constexpr size_t kMaxSelectors = 1024;
  static constexpr size_t kMaxSelectorBytes = 64 << 10;  // In all.

  // The connection must outlive it.
  explicit WorkloadAttestorPlugin(PluginConnection& connection, absl::Duration timeout = kTimeout)
      : connection_(connection), timeout_(timeout) {}

  std::string_view type() const override { return connection_.name(); }
  absl::StatusOr<std::vector<Selector>> Attest(const Subject& subject) override;
  bool ReadsProcess() const override { return true; }
  bool MayBlock(const Subject& /*subject*/) override { return true; }

 private:
  PluginConnection& connection_;
  const absl::Duration timeout_;
};

}  // namespace assay
