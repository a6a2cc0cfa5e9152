// SPDX-License-Identifier: GPL-3.0-or-later
// Makes the node attestor that a configuration asks for.
#pragma once

#include <memory>
#include <string>

#include "agent/config.h"
#include "attestors/node/node_attestor.h"
#include "base/status.h"
#include "plugins/connection.h"
#include "tpm/lazy_tpm.h"

namespace assay {

// May open files. The TPM is for attestors that need one, the plugin for one that is external. The
// configuration and the plugin must outlive the attestor.
absl::StatusOr<std::unique_ptr<NodeAttestor>> MakeNodeAttestor(
    const AgentConfig& config, const std::shared_ptr<tpm::LazyTpm>& tpm,
    PluginConnection* plugin = nullptr);

// The one that the configuration asks for, as metrics call it: "tpm_devid".
std::string AttestorName(const AgentConfig& config);

}  // namespace assay
