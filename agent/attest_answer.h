// SPDX-License-Identifier: GPL-3.0-or-later
// What the probe role's answer to a question about a process says.
#pragma once

#include <vector>

#include "assay/roles.pb.h"
#include "base/status.h"
#include "spiffe/selector.h"

namespace assay {

// How the attestation ended.
absl::Status StatusOf(const roles::AttestReply& reply);
// Takes them out of it, normalized.
std::vector<Selector> SelectorsOf(roles::AttestReply& reply);

}  // namespace assay
