// SPDX-License-Identifier: GPL-3.0-or-later
// The node verifiers that an operator has configured, by the attestors' names.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "authority/node_verifier.h"
#include "authority/options.h"
#include "base/status.h"

namespace assay {

// Join tokens are not among them: they are part of the state.
using NodeVerifiers = std::map<std::string, std::unique_ptr<NodeVerifier>, std::less<>>;

// Reads the files that the options name.
absl::StatusOr<NodeVerifiers> MakeNodeVerifiers(const AuthorityOptions& options);

}  // namespace assay
